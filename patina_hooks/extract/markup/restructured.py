"""Scan reStructuredText: headings, directives, literal blocks, tables; roles stay as written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from patina_hooks.extract.markup.parts import (
    BADGE,
    COMMENT,
    CONTENTS,
    DIRECTIVE,
    FRONT_MATTER,
    LINK_DEFINITION,
    NO_TEXT,
    RULE,
    Part,
    indentation,
    indented_end,
    is_adornment,
    is_blank,
    is_item,
    omitted,
    paragraph,
    run_end,
)
from patina_hooks.text.markdown import TextLine

_SIGNS = "=-`:.'\"~^_*+#<>!$%&(),/;?@[\\]{|}"
_DIRECTIVE = re.compile(r"\.\.[ \t]+(?:\|[^|]+\|[ \t]+)?([\w.:+-]*[\w.+-])::(?:[ \t]+(.*))?$")
_TARGET = re.compile(r"(?:\.\.[ \t]+_|__[ \t])")
_FOOTNOTE = re.compile(r"\.\.[ \t]+\[[^\]]+\][ \t]+\S")
_OPTION = re.compile(r"[ \t]+:[^:\s][^:]*:(?:[ \t]|$)")
_FIELD = re.compile(r":[^:\s][^:]*:(?:[ \t]|$)")
_BADGES = re.compile(r"(?:\|[^|]+\|_{0,2}[ \t]*)+")
_GRID = re.compile(r"[ \t]*\+[-=+]+\+[ \t]*$")
_SIMPLE = re.compile(r"[ \t]*=+(?:[ \t]+=+)+[ \t]*$")
_LONGEST_TABLE = 500  # lines

_CODE = frozenset(
    {
        *("code", "code-block", "sourcecode", "parsed-literal", "literalinclude", "doctest", "testcode"),
        *("testoutput", "testsetup", "prompt", "ipython", "math", "graphviz", "mermaid", "productionlist"),
    }
)
_TABLES = frozenset({"list-table", "csv-table"})
_CONTENTS = frozenset({"contents", "toctree", "tableofcontents", "local-toc"})
_SILENT = frozenset(
    {
        *("image", "figure", "include", "raw", "index", "meta", "highlight", "module", "currentmodule"),
        *("sectnum", "default-role", "role", "unicode", "replace", "only", "default-domain", "title"),
    }
)
_OBJECTS = frozenset(
    {
        *("attribute", "class", "confval", "constant", "data", "describe", "decorator", "enum", "envvar"),
        *("exception", "fixture", "function", "macro", "member", "method", "classmethod", "staticmethod"),
        *("hook", "object", "option", "program", "property", "setting", "struct", "type", "var", "variable"),
    }
)
_OBJECT_LEVEL = 100  # below every heading
_REFERENCE = re.compile(r"auto\w+$|click$|sphinx_gallery|automodsumm$|autosummary$")


def scan_restructured(lines: Sequence[TextLine]) -> Iterator[Part]:
    """Yield the parts of a reStructuredText document in order."""
    return _RestructuredScanner(lines).scan()


class _RestructuredScanner:
    """A cursor over the lines; each method takes one part and advances."""

    def __init__(self, lines: Sequence[TextLine]) -> None:
        self._lines = lines
        self._index = 0
        self._levels: dict[str, int] = {}
        self._literal_below: int | None = None
        self._objects: list[int] = []  # the indentation of each documented object that is open

    def scan(self) -> Iterator[Part]:
        while self._index < len(self._lines):
            if is_blank(self._lines[self._index]):
                self._index += 1
            else:
                yield from self._part()

    def _part(self) -> Iterator[Part]:
        text = self._lines[self._index].text
        while self._objects and indentation(text) <= self._objects[-1]:
            self._objects.pop()
            yield Part("end", (), level=_OBJECT_LEVEL + len(self._objects))
        margin, self._literal_below = self._literal_below, None
        if margin is not None and indentation(text) > margin:
            yield Part("code", self._take(indented_end(self._lines, self._index, margin)))
        elif heading := self._heading():
            yield heading
        elif text.lstrip(" \t").startswith((".. ", "..\t", "__ ")) or text.strip() == "..":
            yield self._explicit()
        elif _GRID.match(text) or _SIMPLE.match(text):
            yield Part("table", self._take(self._table_end()))
        elif is_adornment(text, _SIGNS):
            yield omitted(self._take(self._index + 1), RULE)
        elif is_item(text):
            yield self._item()
        else:
            yield self._paragraph()

    def _take(self, end: int) -> tuple[TextLine, ...]:
        lines = tuple(self._lines[self._index : end])
        self._index = end
        return lines

    def _heading(self) -> Part | None:
        """Take a title with its underline, or between two lines."""
        over, title, under = (self._text(self._index + offset) for offset in range(3))
        if (
            is_adornment(over, _SIGNS, 2)
            and title.strip()
            and _is_underline(under, title)
            and over[0] == under[0]
        ):
            return self._titled(3, title, f"{over[0]}{over[0]}")
        if _is_underline(title, over) and over[0] not in " \t":
            return self._titled(2, over, title[0])
        return None

    def _titled(self, length: int, title: str, style: str) -> Part:
        level = self._levels.setdefault(style, len(self._levels) + 1)
        return Part("heading", self._take(self._index + length), title.strip(), level)

    def _text(self, index: int) -> str:
        return self._lines[index].text if index < len(self._lines) else ""

    def _explicit(self) -> Part:
        """Take a block that starts with two dots: a directive, target, footnote, or comment."""
        start, text = self._index, self._lines[self._index].text
        margin, plain = indentation(text), text.strip()
        end = indented_end(self._lines, start + 1, margin)
        if directive := _DIRECTIVE.match(plain):
            return self._directive(directive[1].lower(), directive[2] or "", end)
        if _TARGET.match(plain):
            return omitted(self._take(end), LINK_DEFINITION)
        if _FOOTNOTE.match(plain):
            return paragraph(self._take(run_end(self._lines, start)))
        return omitted(self._take(end), COMMENT)

    def _directive(self, name: str, argument: str, end: int) -> Part:
        base = name.rpartition(":")[2]
        if base in _CONTENTS:
            return omitted(self._take(end), CONTENTS)
        if base in _SILENT or _REFERENCE.match(base):
            is_badge = base == "image" and "badge" in argument
            return omitted(self._take(end), BADGE if is_badge else DIRECTIVE)
        if base in _CODE or base in _TABLES:
            has_text = end > self._index + 1 or base == "math"
            lines = self._take(end)
            return (
                Part("table" if base in _TABLES else "code", lines) if has_text else omitted(lines, DIRECTIVE)
            )
        if base in _OBJECTS and argument.strip() and end > self._index + 1:
            return self._object(argument)
        return self._admonition(argument)

    def _object(self, argument: str) -> Part:
        """Take the first lines of an object's documentation.

        Its content follows as parts.
        """
        level = _OBJECT_LEVEL + len(self._objects)
        self._objects.append(indentation(self._lines[self._index].text))
        return Part("heading", self._take(self._options_end()), argument.strip(), level)

    def _admonition(self, argument: str) -> Part:
        """Take the first lines of a directive whose content is prose.

        The content follows as parts.
        """
        has_text = bool(argument.strip())
        lines = self._take(self._options_end())
        return Part("paragraph", lines, leads=True) if has_text else omitted(lines, DIRECTIVE)

    def _options_end(self) -> int:
        end = self._index + 1
        while end < len(self._lines) and _OPTION.match(self._lines[end].text):
            end += 1
        return end

    def _table_end(self) -> int:
        """Find the end of a table.

        In a simple table blank lines may separate rows.
        """
        end = run_end(self._lines, self._index)
        if _GRID.match(self._lines[self._index].text):
            return end
        last = min(len(self._lines), self._index + _LONGEST_TABLE)
        borders = 0
        for index in range(self._index, last):
            borders += bool(_SIMPLE.match(self._lines[index].text))
            if borders > 1 and (index + 1 == len(self._lines) or is_blank(self._lines[index + 1])):
                return index + 1
        return end

    def _item(self) -> Part:
        """Take a list item with its continuation and everything indented below it."""
        margin = indentation(self._lines[self._index].text)
        end = self._index + 1
        while (
            end < len(self._lines) and not is_blank(self._lines[end]) and not is_item(self._lines[end].text)
        ):
            end += 1
        return Part("item", self._take(indented_end(self._lines, end, margin)))

    def _paragraph(self) -> Part:
        start = self._index
        if start == 0 and _FIELD.match(self._lines[0].text):
            end = 0
            while _FIELD.match(self._text(end)) or (self._text(end).strip() and self._text(end)[0] in " \t"):
                end += 1
            return omitted(self._take(end), FRONT_MATTER)
        lines = self._take(run_end(self._lines, start))
        if all(_BADGES.fullmatch(line.text.strip()) for line in lines):
            return omitted(lines, BADGE)
        if all(line.text.strip() in ("::", "|") for line in lines):
            self._literal_below = indentation(lines[-1].text)
            return omitted(lines, NO_TEXT)
        if lines[-1].text.rstrip().endswith("::"):
            self._literal_below = indentation(lines[0].text)
        elif lines[0].text.lstrip().startswith(">>> "):
            return Part("code", lines)
        return paragraph(lines)


def _is_underline(under: str, title: str) -> bool:
    """Return whether a line underlines a title.

    In docutils four signs are enough.
    """
    plain = title.strip()
    if not plain or under[:1] in ("", " ", "\t") or under.strip() == "::" or is_adornment(title, _SIGNS):
        return False
    return is_adornment(under, _SIGNS, min(4, max(2, len(plain))))
