"""Scan Markdown and MyST: CommonMark's blocks, with front matter, badges and anchors."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from patina_hooks.extract.extraction import TITLE_CAP
from patina_hooks.extract.markup.parts import (
    COMMENT,
    CONTENTS,
    FRONT_MATTER,
    HEADING,
    LINK_DEFINITION,
    NO_TEXT,
    RULE,
    Part,
    indentation,
    is_adornment,
    link_target,
    markup_reason,
    omitted,
    paragraph,
)
from patina_hooks.text.markdown import Block, TextLine, parse_blocks, strip_marker, strip_quote

ANCHOR = "anchor"

_FRONT_MATTER_LINES = 200
_KEY = re.compile(r"[\w.\"'-]+[ \t]*[:=]")
_BELOW_KEY = re.compile(r"[ \t]*(?:[-#\[\]{}]|$)|[ \t]+\S")
_TITLE = re.compile(r"title[ \t]*[:=][ \t]*(.+)")
_DEFINITION = re.compile(r" {0,3}\[(?!\^)[^\]]+\]:[ \t]*\S")
_ANCHOR = re.compile(r"\([\w.:/ -]+\)=[ \t]*$")
_HTML_HEADING = re.compile(r"[ \t]*<h([1-6])\b[^>]*>([^<]*(?:<(?!/h)[^<]*)*)</h[1-6]>[ \t]*$", re.IGNORECASE)
_CONTENTS_HEADINGS = frozenset({"contents", "table of contents", "toc", "on this page"})
_SHORTEST_CONTENTS = 3  # items
_CONTENTS_LINES = ("[toc]", "[[_toc_]]", "{:toc}", "${toc}")
_CONTENTS_FENCE = re.compile(r"[`~:]{3,}[ \t]*\{(?:toctree|contents|tableofcontents)\}")
_TABLE_BORDER = re.compile(r"[ \t|:-]+$")
_QUOTE = re.compile(r" {0,3}>[ \t]?")


def front_matter_title(lines: Sequence[TextLine]) -> str:
    """Read the title in the front matter (YAML or TOML), "" if there is none."""
    head = lines[: _front_matter_end(lines)]
    titles = (match[1] for line in head if (match := _TITLE.match(line.text)))
    return next(titles, "").strip().strip("\"'").strip()


def scan_markdown(lines: Sequence[TextLine]) -> Iterator[Part]:
    """Yield the parts of a Markdown document in order."""
    start = _front_matter_end(lines)
    if start:
        yield omitted(lines[:start], FRONT_MATTER)
    all_blocks = parse_blocks(lines[start:], comments_end_at_headings=False)
    blocks = [block for block in all_blocks if block.kind != "blank"]
    heading = ""
    index = 0
    while index < len(blocks):
        block, below = blocks[index], blocks[index + 1] if index + 1 < len(blocks) else None
        index += 1
        if block.kind == "item":
            end = next((n for n in range(index, len(blocks)) if blocks[n].kind != "item"), len(blocks))
            yield from _items(
                blocks[index - 1 : end], is_contents=heading.strip(" :*").lower() in _CONTENTS_HEADINGS
            )
            index = end
        elif below and (level := _underlined(block, below)):
            heading = _join_lines(block.lines)
            yield Part("heading", block.lines + below.lines, heading, level)
            index += 1
        else:
            heading = block.text if block.kind == "heading" else heading
            yield from _parts(block)


def _items(items: Sequence[Block], *, is_contents: bool) -> Iterator[Part]:
    """Yield the items of a list, or omit it if it only links to headings."""
    targets = [
        link_target(strip_marker(line.text)) for item in items for line in item.lines if line.text.strip()
    ]
    if all(targets) and (
        is_contents or (len(targets) >= _SHORTEST_CONTENTS and all(target[0] == "#" for target in targets))
    ):
        yield omitted([line for item in items for line in item.lines], CONTENTS)
        return
    for item in items:
        has_text = any(strip_marker(line.text) for line in item.lines)
        lines = _trim_end(item.lines)
        yield Part("item", lines) if has_text else omitted(lines, NO_TEXT)


def _front_matter_end(lines: Sequence[TextLine]) -> int:
    """Return the index after YAML between `---`, or TOML between `+++`.

    0 if there is none.
    """
    opening = lines[0].text.rstrip() if lines else ""
    if opening not in ("---", "+++"):
        return 0
    has_key = False
    for index, line in enumerate(lines[1:_FRONT_MATTER_LINES], 1):
        if line.text.rstrip() == opening:
            return index + 1 if has_key else 0
        is_key = bool(_KEY.match(line.text))
        if not is_key and not _BELOW_KEY.match(line.text):
            return 0
        has_key = has_key or is_key
    return 0


def _underlined(block: Block, below: Block) -> int:
    """Return the level of a heading that is underlined (setext), 0 for other blocks."""
    is_adjacent = below.lines[0].number == block.lines[-1].number + 1
    is_text = block.kind in ("paragraph", "label", "bold") and below.kind == "rule" and is_adjacent
    if not is_text or len(_join_lines(block.lines)) > TITLE_CAP or indentation(block.lines[0].text) > 3:
        return 0
    if _is_table(block) or any(_reason(line.text) for line in block.lines):
        return 0
    sign = below.lines[0].text.strip()
    return 1 if is_adornment(sign, "=") else 2 if is_adornment(sign, "-") else 0


def _parts(block: Block) -> Iterator[Part]:
    if block.kind == "heading":
        has_text = bool(block.text)
        yield (
            Part("heading", block.lines, block.text, block.level)
            if has_text
            else omitted(block.lines, HEADING)
        )
    elif block.kind == "rule":
        yield omitted(block.lines, RULE)
    elif block.kind == "comment":
        yield omitted(block.lines, COMMENT)
    elif block.kind == "code":
        is_contents = _CONTENTS_FENCE.match(block.lines[0].text.strip())
        lines = _trim_end(block.lines)
        yield omitted(lines, CONTENTS) if is_contents else _code(lines)
    elif block.kind == "table":
        yield Part("table", block.lines)
    elif block.kind == "quote":
        yield _quote(block.lines)
    else:
        yield from _text(block)


def _code(lines: tuple[TextLine, ...]) -> Part:
    has_text = any(line.text.strip(" \t`~") for line in lines)
    return Part("code", lines) if has_text else omitted(lines, NO_TEXT)


def _quote(lines: tuple[TextLine, ...]) -> Part:
    if not any(strip_quote(line.text) for line in lines):
        return omitted(lines, NO_TEXT)
    return paragraph([TextLine(line.number, _QUOTE.sub("", line.text, count=1)) for line in lines])


def _text(block: Block) -> Iterator[Part]:
    """Yield the parts of running text, and the lines to omit."""
    if _is_table(block):
        yield Part("table", block.lines)
        return
    if all(indentation(line.text) > 3 for line in block.lines):
        yield Part("code", block.lines)
        return
    reason_of: Callable[[TextLine], str] = lambda line: _reason(line.text)  # noqa: E731
    for reason, group in groupby(block.lines, reason_of):
        lines = tuple(group)
        if reason:
            yield omitted(lines, reason)
        else:
            yield from _split_headings(lines, is_lead=block.kind == "bold" or not block.text)


def _split_headings(lines: tuple[TextLine, ...], *, is_lead: bool) -> Iterator[Part]:
    pending: list[TextLine] = []
    for line in lines:
        heading = _HTML_HEADING.match(line.text) if len(line.text) <= TITLE_CAP else None
        if not heading:
            pending.append(line)
            continue
        if pending:
            yield paragraph(pending)
            pending = []
        title = heading[2].strip()
        has_text = title and not markup_reason(title)
        yield Part("heading", (line,), title, int(heading[1])) if has_text else omitted((line,), HEADING)
    if pending:
        part = paragraph(pending)
        yield Part("paragraph", part.lines, leads=part.leads or is_lead)


def _reason(text: str) -> str:
    if _DEFINITION.match(text):
        return LINK_DEFINITION
    if _ANCHOR.match(text):
        return ANCHOR
    plain = text.strip()
    if plain.lower() in _CONTENTS_LINES:
        return CONTENTS
    if is_adornment(plain, ":"):
        return NO_TEXT
    return "" if _HTML_HEADING.match(text) else markup_reason(text)


def _is_table(block: Block) -> bool:
    """Return whether a paragraph is a table whose rows do not start with a bar."""
    if block.kind != "paragraph" or len(block.lines) < 2:
        return False
    border = block.lines[1].text
    return (
        "|" in block.lines[0].text and "|" in border and "-" in border and bool(_TABLE_BORDER.match(border))
    )


def _join_lines(lines: Sequence[TextLine]) -> str:
    return " ".join(line.text.strip() for line in lines)


def _trim_end(lines: tuple[TextLine, ...]) -> tuple[TextLine, ...]:
    """Remove blank lines at the end."""
    end = len(lines)
    while end > 1 and not lines[end - 1].text.strip():
        end -= 1
    return lines[:end]
