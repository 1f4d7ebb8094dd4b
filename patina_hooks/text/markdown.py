"""Markdown as writers really type it: lines become blocks, blocks become pieces of a readable size.

Not a renderer: only as much of CommonMark as decides where one thought ends and the next begins, read
line by line in linear time, so that no input is refused and nothing is lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, NamedTuple

BlockKind = Literal[
    "blank", "heading", "label", "bold", "item", "paragraph", "quote", "code", "table", "rule", "comment"
]

PIECE = 1_200
"""Longest piece in characters: about the 256 tokens that a small embedding model reads."""

_MARKER = re.compile(r"[ \t]*(?:[-*+]|\d{1,9}[.)])(?:[ \t]+|$)")
_CHECK_BOX = re.compile(r"\[[ xX]\](?:[ \t]+|$)")
_SENTENCE_END = (". ", "! ", "? ", "; ")
_LONGEST_LABEL = 120
_LONGEST_FENCE = 8  # longer runs count as this long, which bounds how often the rest of a text is searched


class Line(NamedTuple):
    """One line as written, without its line end; `number` counts from 1."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Block:
    """Lines that belong together, as written.

    kind: "label" is a line that opens with `**name:**`; "bold" a line that is bold as a whole;
        "item" a list item with all that is indented below it.
    text: what remains of the first line without its markup (title, item's text, text after a label).
    name: the label's name.
    level: 1 to 6 for a heading.
    """

    kind: BlockKind
    lines: tuple[Line, ...]
    text: str = ""
    name: str = ""
    level: int = 0


def numbered(text: str) -> list[Line]:
    """Lines of a text, whatever its line ends; a byte order mark at the start is not part of it."""
    plain = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    return [Line(number, line) for number, line in enumerate(plain.split("\n"), start=1)]


def blocks(lines: Sequence[Line], *, comments_end_at_headings: bool = True) -> Iterator[Block]:
    """Yield the blocks in order; every line is in exactly one of them.

    Args:
        comments_end_at_headings: take a comment that does not close before the next heading for text: in
            notes that are typed in haste it is one that was never closed, in a page it hides a heading.
    """
    return iter(_Scanner(lines, comments_end_at_headings=comments_end_at_headings))


def unmarked(line: str) -> str:
    """A line without its list marker and check box, trimmed."""
    marker = _MARKER.match(line)
    rest = line[marker.end() :] if marker else line.strip()
    box = _CHECK_BOX.match(rest)
    return (rest[box.end() :] if box else rest).strip()


def unquoted(line: str) -> str:
    """A line without the `>` of a quotation, trimmed."""
    return line.lstrip("> \t").rstrip()


def heading(line: str) -> tuple[int, str] | None:
    """Level and title of an ATX heading."""
    stripped = line.strip()
    level = len(stripped) - len(stripped.lstrip("#"))
    if not 1 <= level <= 6 or _indentation(line) > 3 or stripped[level : level + 1] not in ("", " ", "\t"):
        return None
    title = stripped[level:].strip()
    opened = title.rstrip("#")
    return level, (opened.rstrip() if opened.endswith((" ", "\t")) else title)


def label(line: str) -> tuple[str, str] | None:
    """Name and following text of a line `**name:** text`, `**name**: text` or `**name** (detail):`."""
    stripped = line.strip()
    close = stripped.find("**", 2, _LONGEST_LABEL) if stripped.startswith("**") else -1
    if close < 0:
        return None
    name, after = stripped[2:close].strip(), stripped[close + 2 :].strip()
    if name.endswith(":"):
        return name.rstrip(":").rstrip(), after
    if after.startswith(":"):
        return name, after[1:].strip()
    if after.startswith("(") and after.endswith("):"):
        return f"{name} {after[:-1]}", ""
    return None


def pieces(lines: Sequence[Line]) -> Iterator[tuple[int, str]]:
    """(line number, text) of pieces no longer than `PIECE`, cut between lines, else sentences, else words."""
    held: list[Line] = []
    size = 0
    for line in lines:
        for part in _cut(line):
            if held and size + 1 + len(part.text) > PIECE:
                yield from _joined(held)
                held, size = [], 0
            held.append(part)
            size += len(part.text) + 1
    yield from _joined(held)


def item_pieces(lines: Sequence[Line]) -> Iterator[tuple[int, str]]:
    """Pieces of a list item: whole with what is nested in it where that fits, else part by part.

    Its parts follow the same rule. An item that is split never shares a piece with its sibling.
    """
    starts = _item_starts(lines)
    ends = _subtree_ends(lines, starts)
    bounds = [*starts, len(lines)]
    sizes = [0, *accumulate(len(line.text) + 1 for line in lines)]
    at = 0
    while at < len(starts):
        fits = sizes[bounds[ends[at]]] - sizes[bounds[at]] <= PIECE
        following = ends[at] if fits else at + 1
        yield from pieces(_opened(lines[bounds[at] : bounds[following]]))
        at = following


def _joined(lines: Sequence[Line]) -> Iterator[tuple[int, str]]:
    text = "\n".join(line.text for line in lines).strip()
    if text:
        yield next(line.number for line in lines if line.text.strip()), text


def _cut(line: Line) -> Iterator[Line]:
    at = 0
    while len(line.text) - at > PIECE:
        end = _cut_place(line.text, at)
        yield Line(line.number, line.text[at:end].strip())
        at = end
    yield Line(line.number, line.text[at:].rstrip())


def _cut_place(text: str, at: int) -> int:
    half, full = at + PIECE // 2, at + PIECE
    sentence = max(text.rfind(end, half, full) for end in _SENTENCE_END)
    if sentence >= 0:
        return sentence + 2
    space = text.rfind(" ", half, full)
    return space + 1 if space >= 0 else full


def _opened(lines: Sequence[Line]) -> list[Line]:
    """An item's lines without its marker, and what is below it moved to the left."""
    indents = (_indentation(line.text) for line in lines[1:] if line.text.strip())
    margin = min(filter(None, indents), default=0)
    below = [Line(line.number, _shifted(line.text, margin)) for line in lines[1:]]
    return [Line(lines[0].number, unmarked(lines[0].text)), *below]


def _shifted(line: str, margin: int) -> str:
    stripped = line.lstrip(" \t")
    return " " * max(0, _indentation(line) - margin) + stripped


def _item_starts(lines: Sequence[Line]) -> list[int]:
    starts = [0]
    fence = ""
    for at, line in enumerate(lines[1:], start=1):
        opened = _fence(line.text)
        if fence:
            fence = "" if opened and _closes(line.text, fence) else fence
        elif opened:
            fence = opened
        elif _MARKER.match(line.text):
            starts.append(at)
    return starts


def _subtree_ends(lines: Sequence[Line], starts: Sequence[int]) -> list[int]:
    """For each item the index of the first later item that is not nested in it."""
    ends = [len(starts)] * len(starts)
    open_items: list[tuple[int, int]] = []
    for index, start in enumerate(starts):
        indent = _indentation(lines[start].text)
        while open_items and open_items[-1][0] >= indent:
            ends[open_items.pop()[1]] = index
        open_items.append((indent, index))
    return ends


def _indentation(line: str) -> int:
    """Columns before the first character; a tab counts four."""
    blank = line[: len(line) - len(line.lstrip(" \t"))]
    return len(blank) + 3 * blank.count("\t")


def _fence(line: str) -> str:
    """The run of ``` or ~~~ that the line opens with, "" for another line."""
    stripped = line.lstrip(" \t")
    for sign in ("`", "~"):
        run = len(stripped) - len(stripped.lstrip(sign))
        if run >= 3 and sign not in stripped[run:]:
            return sign * min(run, _LONGEST_FENCE)
    return ""


def _closes(line: str, fence: str) -> bool:
    stripped = line.strip()
    return len(stripped) >= len(fence) and not stripped.strip(fence[0])


def _is_rule(line: str) -> bool:
    signs = set(line) - {" ", "\t"}
    return len(signs) == 1 and signs <= set("-*_=") and line.count(next(iter(signs))) >= 3


class _Scanner:
    """A cursor over the lines; each method takes what belongs together and moves on."""

    def __init__(self, lines: Sequence[Line], *, comments_end_at_headings: bool) -> None:
        self._lines = lines
        self._comments_end_at_headings = comments_end_at_headings
        self._at = 0
        # Where a search failed: no start before it needs to look again.
        self._no_comment_end_before = 0

    def __iter__(self) -> Iterator[Block]:
        while self._at < len(self._lines):
            yield self._block()

    def _block(self) -> Block:
        at, text = self._at, self._lines[self._at].text
        kind = self._kind(at)
        if kind == "heading":
            level, title = heading(text) or (1, "")
            return self._take(kind, at + 1, title, level=level)
        if kind == "label":
            name, rest = label(text) or ("", "")
            return self._take(kind, self._run_end("paragraph") if rest else at + 1, rest, name=name)
        if kind == "bold":
            name = text.strip()[2:-2].strip()
            return self._take(kind, at + 1, name, name=name)
        return self._take(kind, self._end(kind), unmarked(text) if kind == "item" else text.strip())

    def _end(self, kind: BlockKind) -> int:
        if kind == "item":
            return self._item_end()
        if kind == "code":
            return self._code_end(self._at)
        if kind == "comment":
            return self._comment_end()
        return self._at + 1 if kind in ("blank", "rule") else self._run_end(kind)

    def _take(self, kind: BlockKind, end: int, text: str = "", name: str = "", level: int = 0) -> Block:
        lines = tuple(self._lines[self._at : end])
        self._at = end
        return Block(kind, lines, text, name, level)

    def _kind(self, at: int) -> BlockKind:  # noqa: PLR0911 - one line a kind reads best
        text = self._lines[at].text
        stripped = text.strip()
        if not stripped:
            return "blank"
        if _fence(text):
            return "code"
        if heading(text):
            return "heading"
        if _is_rule(stripped):
            return "rule"
        if stripped.startswith("<!--") and self._has_comment_end(at):
            return "comment"
        if _MARKER.match(text):
            return "item"
        if stripped[0] in "|>":
            return "table" if stripped[0] == "|" else "quote"
        if stripped.startswith("**"):
            return self._bold_kind(stripped)
        return "paragraph"

    @staticmethod
    def _bold_kind(stripped: str) -> BlockKind:
        if label(stripped):
            return "label"
        inner = stripped[2:-2]
        return "bold" if stripped.endswith("**") and inner.strip(" *") and "**" not in inner else "paragraph"

    def _run_end(self, kind: BlockKind) -> int:
        end = self._at + 1
        while end < len(self._lines) and self._kind(end) == kind:
            end += 1
        return end

    def _item_end(self) -> int:
        margin = _indentation(self._lines[self._at].text)
        end = self._at + 1
        lazy = True
        while (start := self._next_text(end)) < len(self._lines):
            if _indentation(self._lines[start].text) > margin:
                lazy = not _fence(self._lines[start].text)
                end = start + 1 if lazy else self._code_end(start)
            elif lazy and start == end and self._kind(start) == "paragraph":
                end += 1  # CommonMark: text right below an item continues it, indented or not
            else:
                break
        return end

    def _next_text(self, at: int) -> int:
        while at < len(self._lines) and not self._lines[at].text.strip():
            at += 1
        return at

    def _code_end(self, at: int) -> int:
        """After the closing fence; a fence that never closes ends at the next heading of level 2 or 3.

        Never closed: the text ends first, or another fence opens with a language after such a heading.
        (A `#` alone is more often a comment in a shell script than a heading.)
        """
        fence = _fence(self._lines[at].text)
        section = 0
        for index in range(at + 1, len(self._lines)):
            text = self._lines[index].text
            found = heading(text)
            if found and 2 <= found[0] <= 3:
                section = section or index
            elif _fence(text).startswith(fence):
                if _closes(text, fence):
                    return index + 1
                if section:
                    return section
        return section or len(self._lines)

    def _has_comment_end(self, at: int) -> bool:
        """A comment that closes at the end of a line."""
        if at < self._no_comment_end_before:
            return False
        for index in range(at, len(self._lines)):
            text = self._lines[index].text
            if text.rstrip().endswith("-->") and text.count("-->") == 1:
                return True
            if "-->" in text or (self._comments_end_at_headings and heading(text)):
                break
        self._no_comment_end_before = index + 1
        return False

    def _comment_end(self) -> int:
        end = self._at
        while "-->" not in self._lines[end].text:
            end += 1
        return end + 1
