"""Scan plain text: paragraphs, underlined headings, lists, and indented blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from patina_hooks.extract.markup.parts import (
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

_SIGNS = "=-~*_#+"
_LEVELS = {"=": 1, "-": 2}
_LONGEST_HEADING = 120
_CAPITALS_LEVEL = 2


def scan_plain(lines: Sequence[TextLine]) -> Iterator[Part]:
    """Yield the parts of a plain text in order."""
    index = 0
    while index < len(lines):
        if is_blank(lines[index]):
            index += 1
            continue
        part = _part(lines, index)
        yield part
        index += len(part.lines)


def _part(lines: Sequence[TextLine], index: int) -> Part:
    text = lines[index].text
    below = lines[index + 1].text if index + 1 < len(lines) else ""
    if is_adornment(text, _SIGNS):
        return omitted(lines[index : index + 1], RULE)
    if is_adornment(below, _SIGNS) and len(text) <= _LONGEST_HEADING and not is_item(text):
        return Part(
            "heading", tuple(lines[index : index + 2]), text.strip(), _LEVELS.get(below.strip()[0], 3)
        )
    if _is_capital(text) and not below.strip():
        return Part("heading", tuple(lines[index : index + 1]), text.strip(), _CAPITALS_LEVEL)
    if is_item(text):
        return Part("item", tuple(lines[index : _item_end(lines, index)]))
    end = run_end(lines, index)
    end = next((n for n in range(index + 1, end) if is_item(lines[n].text)), end)
    if indentation(text) > 3:
        return Part("code", tuple(lines[index:end]))
    return paragraph(lines[index:end])


def _item_end(lines: Sequence[TextLine], index: int) -> int:
    end = index + 1
    while end < len(lines) and not is_blank(lines[end]) and not is_item(lines[end].text):
        end += 1
    return indented_end(lines, end, indentation(lines[index].text))


def _is_capital(text: str) -> bool:
    """Return whether a line is a heading in capitals, as in a manual page."""
    is_short = len(text) <= _LONGEST_HEADING and text[0] not in " \t"
    return is_short and text.isupper() and sum(map(str.isalpha, text)) > 2 and text.rstrip()[-1] not in ".,;"
