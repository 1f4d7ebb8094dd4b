"""Split Markdown into blocks, and blocks into passages of bounded length.

Not a renderer: only as much of CommonMark as decides where one passage ends and the next begins. It is read
line by line in linear time, accepts any input and loses no line.
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

MAX_PASSAGE = 1_200
"""The longest passage in characters: about the 256 tokens that a small embedding model reads."""

_MARKER = re.compile(r"[ \t]*(?:[-*+]|\d{1,9}[.)])(?:[ \t]+|$)")
_CHECK_BOX = re.compile(r"\[[ xX]\](?:[ \t]+|$)")
_SENTENCE_END = (". ", "! ", "? ", "; ")
_LONGEST_LABEL = 120
_LONGEST_FENCE = 8  # longer fences count as this long, which bounds how often the text is searched


class TextLine(NamedTuple):
    """One line as written, without its line end; `number` counts from 1."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive lines of one kind, as written.

    kind: "label" is a line that starts with `**name:**`; "bold" a line that is bold as a whole;
        "item" a list item with everything that is indented below it.
    text: the first line without its markup (title, item's text, text after a label).
    name: the label's name.
    level: 1 to 6 for a heading.
    """

    kind: BlockKind
    lines: tuple[TextLine, ...]
    text: str = ""
    name: str = ""
    level: int = 0


def number_lines(text: str) -> list[TextLine]:
    """Split a text into numbered lines, whatever its line ends, without a byte order mark."""
    plain = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    return [TextLine(number, line) for number, line in enumerate(plain.split("\n"), start=1)]


def parse_blocks(lines: Sequence[TextLine], *, comments_end_at_headings: bool = True) -> Iterator[Block]:
    """Yield the blocks in order.

    Every line is in exactly one of them.

    Args:
        lines: the lines of a text.
        comments_end_at_headings: treat a comment that does not close before the next heading as text: in
            notes such a comment was never closed, in a page it hides a heading.
    """
    return iter(_MarkdownScanner(lines, comments_end_at_headings=comments_end_at_headings))


def strip_marker(line: str) -> str:
    """Return a line without its list marker and check box, trimmed."""
    marker = _MARKER.match(line)
    rest = line[marker.end() :] if marker else line.strip()
    box = _CHECK_BOX.match(rest)
    return (rest[box.end() :] if box else rest).strip()


def strip_quote(line: str) -> str:
    """Return a line without the `>` of a quotation, trimmed."""
    return line.lstrip("> \t").rstrip()


def parse_heading(line: str) -> tuple[int, str] | None:
    """Parse the level and title of an ATX heading."""
    stripped = line.strip()
    level = len(stripped) - len(stripped.lstrip("#"))
    if not 1 <= level <= 6 or _indentation(line) > 3 or stripped[level : level + 1] not in ("", " ", "\t"):
        return None
    title = stripped[level:].strip()
    unclosed = title.rstrip("#")
    return level, (unclosed.rstrip() if unclosed.endswith((" ", "\t")) else title)


def parse_label(line: str) -> tuple[str, str] | None:
    """Parse name and text of `**name:** text`, `**name**: text` or `**name** (detail):`."""
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


def split_passages(lines: Sequence[TextLine]) -> Iterator[tuple[int, str]]:
    """Split lines into passages of at most `MAX_PASSAGE` characters: (line number, text).

    Passages end between lines, else between sentences, else between words.
    """
    pending: list[TextLine] = []
    size = 0
    for line in lines:
        for part in _split_line(line):
            if pending and size + 1 + len(part.text) > MAX_PASSAGE:
                yield from _join_lines(pending)
                pending, size = [], 0
            pending.append(part)
            size += len(part.text) + 1
    yield from _join_lines(pending)


def split_item(lines: Sequence[TextLine]) -> Iterator[tuple[int, str]]:
    """Split a list item into passages: whole with its nested items if that fits, else part by part.

    Its parts follow the same rule. An item that is split never shares a passage with its sibling.
    """
    starts = _item_starts(lines)
    ends = _subtree_ends(lines, starts)
    bounds = [*starts, len(lines)]
    sizes = [0, *accumulate(len(line.text) + 1 for line in lines)]
    index = 0
    while index < len(starts):
        fits = sizes[bounds[ends[index]]] - sizes[bounds[index]] <= MAX_PASSAGE
        following = ends[index] if fits else index + 1
        yield from split_passages(_strip_item_marker(lines[bounds[index] : bounds[following]]))
        index = following


def _join_lines(lines: Sequence[TextLine]) -> Iterator[tuple[int, str]]:
    text = "\n".join(line.text for line in lines).strip()
    if text:
        yield next(line.number for line in lines if line.text.strip()), text


def _split_line(line: TextLine) -> Iterator[TextLine]:
    index = 0
    while len(line.text) - index > MAX_PASSAGE:
        end = _split_position(line.text, index)
        yield TextLine(line.number, line.text[index:end].strip())
        index = end
    yield TextLine(line.number, line.text[index:].rstrip())


def _split_position(text: str, index: int) -> int:
    half, full = index + MAX_PASSAGE // 2, index + MAX_PASSAGE
    sentence = max(text.rfind(end, half, full) for end in _SENTENCE_END)
    if sentence >= 0:
        return sentence + 2
    space = text.rfind(" ", half, full)
    return space + 1 if space >= 0 else full


def _strip_item_marker(lines: Sequence[TextLine]) -> list[TextLine]:
    """Return an item's lines without its marker, with the nested lines moved to the left."""
    indents = (_indentation(line.text) for line in lines[1:] if line.text.strip())
    margin = min(filter(None, indents), default=0)
    below = [TextLine(line.number, _shift_left(line.text, margin)) for line in lines[1:]]
    return [TextLine(lines[0].number, strip_marker(lines[0].text)), *below]


def _shift_left(line: str, margin: int) -> str:
    stripped = line.lstrip(" \t")
    return " " * max(0, _indentation(line) - margin) + stripped


def _item_starts(lines: Sequence[TextLine]) -> list[int]:
    starts = [0]
    fence = ""
    for index, line in enumerate(lines[1:], start=1):
        opened = _opening_fence(line.text)
        if fence:
            fence = "" if opened and _closes(line.text, fence) else fence
        elif opened:
            fence = opened
        elif _MARKER.match(line.text):
            starts.append(index)
    return starts


def _subtree_ends(lines: Sequence[TextLine], starts: Sequence[int]) -> list[int]:
    """Return for each item the index of the first later item that is not nested in it."""
    ends = [len(starts)] * len(starts)
    open_items: list[tuple[int, int]] = []
    for index, start in enumerate(starts):
        indent = _indentation(lines[start].text)
        while open_items and open_items[-1][0] >= indent:
            ends[open_items.pop()[1]] = index
        open_items.append((indent, index))
    return ends


def _indentation(line: str) -> int:
    """Count the columns before the first character; a tab counts four."""
    blank = line[: len(line) - len(line.lstrip(" \t"))]
    return len(blank) + 3 * blank.count("\t")


def _opening_fence(line: str) -> str:
    """Return the fence of ``` or ~~~ at the start of a line, "" for another line."""
    stripped = line.lstrip(" \t")
    for sign in ("`", "~"):
        length = len(stripped) - len(stripped.lstrip(sign))
        if length >= 3 and sign not in stripped[length:]:
            return sign * min(length, _LONGEST_FENCE)
    return ""


def _closes(line: str, fence: str) -> bool:
    stripped = line.strip()
    return len(stripped) >= len(fence) and not stripped.strip(fence[0])


def _is_rule(line: str) -> bool:
    signs = set(line) - {" ", "\t"}
    return len(signs) == 1 and signs <= set("-*_=") and line.count(next(iter(signs))) >= 3


class _MarkdownScanner:
    """A cursor over the lines; each method takes one block and advances."""

    def __init__(self, lines: Sequence[TextLine], *, comments_end_at_headings: bool) -> None:
        self._lines = lines
        self._comments_end_at_headings = comments_end_at_headings
        self._index = 0
        # The end of a failed search: no start before it needs another search.
        self._no_comment_end_before = 0

    def __iter__(self) -> Iterator[Block]:
        while self._index < len(self._lines):
            yield self._block()

    def _block(self) -> Block:
        index, text = self._index, self._lines[self._index].text
        kind = self._kind(index)
        if kind == "heading":
            level, title = parse_heading(text) or (1, "")
            return self._take(kind, index + 1, title, level=level)
        if kind == "label":
            name, rest = parse_label(text) or ("", "")
            return self._take(kind, self._run_end("paragraph") if rest else index + 1, rest, name=name)
        if kind == "bold":
            name = text.strip()[2:-2].strip()
            return self._take(kind, index + 1, name, name=name)
        return self._take(kind, self._end(kind), strip_marker(text) if kind == "item" else text.strip())

    def _end(self, kind: BlockKind) -> int:
        if kind == "item":
            return self._item_end()
        if kind == "code":
            return self._code_end(self._index)
        if kind == "comment":
            return self._comment_end()
        return self._index + 1 if kind in ("blank", "rule") else self._run_end(kind)

    def _take(self, kind: BlockKind, end: int, text: str = "", name: str = "", level: int = 0) -> Block:
        lines = tuple(self._lines[self._index : end])
        self._index = end
        return Block(kind, lines, text, name, level)

    def _kind(self, index: int) -> BlockKind:  # noqa: PLR0911 (one return per kind)
        text = self._lines[index].text
        stripped = text.strip()
        if not stripped:
            return "blank"
        if _opening_fence(text):
            return "code"
        if parse_heading(text):
            return "heading"
        if _is_rule(stripped):
            return "rule"
        if stripped.startswith("<!--") and self._has_comment_end(index):
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
        if parse_label(stripped):
            return "label"
        inner = stripped[2:-2]
        return "bold" if stripped.endswith("**") and inner.strip(" *") and "**" not in inner else "paragraph"

    def _run_end(self, kind: BlockKind) -> int:
        end = self._index + 1
        while end < len(self._lines) and self._kind(end) == kind:
            end += 1
        return end

    def _item_end(self) -> int:
        margin = _indentation(self._lines[self._index].text)
        end = self._index + 1
        lazy = True
        while (start := self._next_text(end)) < len(self._lines):
            if _indentation(self._lines[start].text) > margin:
                lazy = not _opening_fence(self._lines[start].text)
                end = start + 1 if lazy else self._code_end(start)
            elif lazy and start == end and self._kind(start) == "paragraph":
                end += 1  # CommonMark: text directly below an item continues it, indented or not
            else:
                break
        return end

    def _next_text(self, index: int) -> int:
        while index < len(self._lines) and not self._lines[index].text.strip():
            index += 1
        return index

    def _code_end(self, start: int) -> int:
        """Return the end of a code block.

        An unclosed fence ends at the next heading of level 2 or 3.

        A fence is unclosed if the text ends first, or another fence with a language follows such a heading.
        (A single `#` is more often a comment in a shell script than a heading.)
        """
        fence = _opening_fence(self._lines[start].text)
        section = 0
        for index in range(start + 1, len(self._lines)):
            text = self._lines[index].text
            heading = parse_heading(text)
            if heading and 2 <= heading[0] <= 3:
                section = section or index
            elif _opening_fence(text).startswith(fence):
                if _closes(text, fence):
                    return index + 1
                if section:
                    return section
        return section or len(self._lines)

    def _has_comment_end(self, start: int) -> bool:
        """Whether a comment closes at the end of a line."""
        if start < self._no_comment_end_before:
            return False
        for index in range(start, len(self._lines)):
            text = self._lines[index].text
            if text.rstrip().endswith("-->") and text.count("-->") == 1:
                return True
            if "-->" in text or (self._comments_end_at_headings and parse_heading(text)):
                break
        self._no_comment_end_before = index + 1
        return False

    def _comment_end(self) -> int:
        end = self._index
        while "-->" not in self._lines[end].text:
            end += 1
        return end + 1
