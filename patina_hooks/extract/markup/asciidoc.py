"""Scan AsciiDoc: headings, delimited blocks, attributes; macros within a line stay as written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from patina_hooks.extract.markup.parts import (
    COMMENT,
    DIRECTIVE,
    FRONT_MATTER,
    LINK_DEFINITION,
    NO_TEXT,
    RULE,
    Part,
    is_adornment,
    is_blank,
    is_item,
    omitted,
    paragraph,
)
from patina_hooks.text.markdown import TextLine

_HEADING = re.compile(r"(={1,6}|#{1,6})[ \t]+(\S.*)$")
_ATTRIBUTE = re.compile(r":!?[\w-]+!?:(?:[ \t]|$)")
_BLOCK_MACROS = tuple(
    f"{name}::"
    for name in ("include", "image", "video", "audio", "toc", "ifdef", "ifndef", "ifeval", "endif")
)
_BLOCK_ATTRIBUTE = re.compile(r"\[[^\]]*\][ \t]*$")
_ANCHOR = re.compile(r"\[\[[^\]]*\]\][ \t]*$")
_TITLE = re.compile(r"\.[^. \t]")
_LIST = re.compile(r"[ \t]*(?:\*{1,6}|\.{1,6}|-|<\d*\.?>)[ \t]+\S|\S.*::(?:[ \t]|$)")
_LISTING_SIGNS = "-.`"
_RULES = ("'''", "<<<", "---", "***")
_SIGNS = _LISTING_SIGNS + "=*_+"


def scan_asciidoc(lines: Sequence[TextLine]) -> Iterator[Part]:
    """Yield the parts of an AsciiDoc document in order."""
    return _AsciiDocScanner(lines).scan()


class _AsciiDocScanner:
    """A cursor over the lines; each method takes one part and advances."""

    def __init__(self, lines: Sequence[TextLine]) -> None:
        self._lines = lines
        self._index = 0
        # Delimiters that no later line repeats, which need no other search.
        self._unclosed: set[str] = set()

    def scan(self) -> Iterator[Part]:
        while self._index < len(self._lines):
            if is_blank(self._lines[self._index]):
                self._index += 1
            else:
                yield self._part()

    def _part(self) -> Part:
        text = self._lines[self._index].text
        plain = text.strip()
        if heading := _HEADING.match(text):
            return Part("heading", self._take(self._index + 1), heading[2].strip(" \t="), len(heading[1]))
        if end := self._delimited_end(plain):
            return self._delimited(plain, end)
        if reason := _reason(text):
            return omitted(self._take(self._index + 1), reason)
        if _TITLE.match(text):
            return Part("paragraph", self._take(self._index + 1), leads=True)
        if is_item(text) or _LIST.match(text):
            return Part("item", self._take(self._item_end()))
        return self._paragraph()

    def _take(self, end: int) -> tuple[TextLine, ...]:
        lines = tuple(self._lines[self._index : end])
        self._index = end
        return lines

    def _delimited_end(self, delimiter: str) -> int:
        """Find the end of a block whose content is not scanned, 0 if none starts here."""
        is_listing = is_adornment(delimiter, _LISTING_SIGNS, 4) or delimiter.startswith("```")
        is_comment = is_adornment(delimiter, "/", 4)
        if not (is_listing or is_comment or delimiter in ("|===", ",===", ":===", "!===")):
            return 0
        closing = "```" if delimiter.startswith("```") else delimiter
        if closing in self._unclosed:
            return 0
        for index in range(self._index + 1, len(self._lines)):
            if self._lines[index].text.strip() == closing:
                return index + 1
        self._unclosed.add(closing)
        return 0

    def _delimited(self, delimiter: str, end: int) -> Part:
        lines = self._take(end)
        if delimiter[0] == "/":
            return omitted(lines, COMMENT)
        if not any(line.text.strip() for line in lines[1:-1]):
            return omitted(lines, NO_TEXT)
        return Part("table" if delimiter.endswith("===") else "code", lines)

    def _item_end(self) -> int:
        """Find the end of a list item: the next blank line, item, or `+` with its block."""
        end = self._index + 1
        while end < len(self._lines) and not _ends_text(text := self._lines[end].text):
            if is_item(text) or _LIST.match(text) or _HEADING.match(text):
                break
            end += 1
        return end

    def _paragraph(self) -> Part:
        end = self._index + 1
        while end < len(self._lines) and not _ends_text(self._lines[end].text):
            end += 1
        lines = self._take(end)
        return Part("code", lines) if lines[0].text[0] in " \t" else paragraph(lines)


def _ends_text(text: str) -> bool:
    """Return whether a line ends the paragraph or list item above it."""
    return not text.strip() or bool(_reason(text))


def _reason(text: str) -> str:
    if text.startswith("//") and not text.startswith("///"):
        return COMMENT
    if _ATTRIBUTE.match(text):
        return FRONT_MATTER
    if text.startswith(_BLOCK_MACROS) and text.rstrip().endswith("]"):
        return DIRECTIVE
    if _ANCHOR.match(text):
        return LINK_DEFINITION
    plain = text.strip()
    if plain in _RULES:
        return RULE
    is_silent = _BLOCK_ATTRIBUTE.match(text) or plain == "+" or is_adornment(plain, _SIGNS, 2)
    return NO_TEXT if is_silent else ""
