"""Passages of prose: parts that belong together, cut where they are longer than a model reads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from patina_hooks.extract.markup.parts import Part, indentation
from patina_hooks.text.markdown import TextLine

_SENTENCE_END = re.compile(
    "[.!?\u2026][)\\]\"'*_`\u201d\u2019]*(?=\\s)"  # a full stop, and what may close behind it
    "|[\u3002\uff01\uff1f]"  # those of Chinese and Japanese, which need no space behind them
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
    """Group parts of one section: a lead with what it introduces, and list items that have room together."""
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
    """Yield the passages of a group, each of at most `room` characters, none overlapping another."""
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
    """Yield the lines of a group; a blank line stands for each gap between its parts."""
    last = group[0].first - 1
    for part in group:
        if part.first > last + 1:
            yield TextLine(last + 1, "")
        yield from part.lines
        last = part.last


def _margin_length(text: str, margin: int) -> int:
    """Count the characters of the margin; a tab that is wider than what is left of it stays."""
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
    at = line = 0
    while at < len(text):
        end = len(text) if len(text) - at <= room else _cut_place(text, at, ends, room)
        piece = text[at:end]
        first = at + len(piece) - len(piece.lstrip())
        while starts[line + 1] <= first:
            line += 1
        if piece.strip():
            begun = line
            last = at + len(piece.rstrip()) - 1
            while starts[line + 1] <= last:
                line += 1
            # The indentation of a first line stays, not the space at which a line was cut.
            start = starts[begun] if starts[begun] >= at else first
            yield Passage(text[start:end].rstrip(), lines[begun].number, lines[line].number)
        at = end


def _cut_place(text: str, at: int, ends: Sequence[re.Pattern[str]], room: int) -> int:
    """Find where to cut: at the last end of the best kind in the second half of what has room."""
    half, full = at + room // 2, at + room
    for pattern in ends:
        if found := [match.end() for match in pattern.finditer(text, half, full)]:
            return found[-1]
    return full
