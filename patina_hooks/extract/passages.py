"""Build passages of prose: group related parts, and cut groups that are longer than a model reads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from patina_hooks.extract.markup.parts import Part, indentation
from patina_hooks.text.markdown import TextLine

_SENTENCE_END = re.compile(
    "[.!?\u2026][)\\]\"'*_`\u201d\u2019]*(?=\\s)"  # the end of a sentence, and closing marks
    "|[\u3002\uff01\uff1f]"  # Chinese and Japanese, where no space follows
)
_BLOCK_END = re.compile(r"\n\n")
_LINE_END = re.compile(r"\n")
_SPACE = re.compile(r"\s")
_TEXT_CUTS = (_SENTENCE_END, _LINE_END, _SPACE)
_LAID_OUT_CUTS = (_BLOCK_END, _LINE_END, _SENTENCE_END, _SPACE)


class Passage(NamedTuple):
    """A text with its first and last line, both 1-based."""

    text: str
    first: int
    last: int


def group_parts(parts: Iterable[Part], room: int) -> Iterator[list[Part]]:
    """Group the parts of a section: a lead with what it introduces, and short list items."""
    group: list[Part] = []
    size = 0
    for part in parts:
        length = sum(len(line.text) + 1 for line in part.lines) + 1
        if group and not (
            _is_introduced(group[-1], part) or (_are_items(group, part) and size + length <= room)
        ):
            yield group
            group, size = [], 0
        group.append(part)
        size += length
    if group:
        yield group


def cut_group(group: Sequence[Part], room: int) -> Iterator[Passage]:
    """Yield the passages of a group, of at most `room` characters each, without overlap."""
    lines = list(_spaced(group))
    margin = min((indentation(line.text) for line in lines if line.text.strip()), default=0)
    lines = [TextLine(number, text[_margin_length(text, margin) :].rstrip()) for number, text in lines]
    is_text = all(part.kind == "paragraph" for part in group)
    return _cut(lines, _TEXT_CUTS if is_text else _LAID_OUT_CUTS, room)


def _is_introduced(above: Part, below: Part) -> bool:
    if above.kind != "paragraph" or _indent(below) < _indent(above):
        return False
    return (
        above.leads or below.kind == "code" or (below.kind != "paragraph" and below.first == above.last + 1)
    )


def _indent(part: Part) -> int:
    return indentation(part.lines[0].text)


def _are_items(group: Sequence[Part], part: Part) -> bool:
    return group[-1].kind == part.kind == "item"


def _spaced(group: Sequence[Part]) -> Iterator[TextLine]:
    """Yield the lines of a group, with a blank line for each gap between its parts."""
    last = group[0].first - 1
    for part in group:
        if part.first > last + 1:
            yield TextLine(last + 1, "")
        yield from part.lines
        last = part.last


def _margin_length(text: str, margin: int) -> int:
    """Count the characters of the margin.

    A tab that exceeds the margin stays.
    """
    columns = length = 0
    while length < len(text) and text[length] in " \t":
        columns += 4 if text[length] == "\t" else 1
        if columns > margin:
            break
        length += 1
    return length


def _cut(lines: Sequence[TextLine], ends: Sequence[re.Pattern[str]], room: int) -> Iterator[Passage]:
    text = "\n".join(line.text for line in lines)
    starts = [0, *accumulate(len(line.text) + 1 for line in lines)]
    index = line = 0
    while index < len(text):
        end = len(text) if len(text) - index <= room else _cut_position(text, index, ends, room)
        passage = text[index:end]
        first = index + len(passage) - len(passage.lstrip())
        while starts[line + 1] <= first:
            line += 1
        if passage.strip():
            first_line = line
            last = index + len(passage.rstrip()) - 1
            while starts[line + 1] <= last:
                line += 1
            # Keep the indentation of a first line, but not the space at which a line was cut.
            start = starts[first_line] if starts[first_line] >= index else first
            yield Passage(text[start:end].rstrip(), lines[first_line].number, lines[line].number)
        index = end


def _cut_position(text: str, index: int, ends: Sequence[re.Pattern[str]], room: int) -> int:
    """Find the position of a cut: the last end of the best kind in the second half of the room."""
    half, full = index + room // 2, index + room
    for pattern in ends:
        if positions := [match.end() for match in pattern.finditer(text, half, full)]:
            return positions[-1]
    return full
