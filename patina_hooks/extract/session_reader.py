"""Read session documents: every line is in an observation or in an omission with its reason.

A state machine over blocks. Its state is small: the open headings, the current label, and a heading or label
with nothing below it yet. It recognizes the documents of this project and of its ancestor; anything else is
kept as text, headings and labels with distinctive words included.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from patina_hooks.extract.extraction import TITLE_CAP, LimitReached
from patina_hooks.extract.session_fields import (
    is_classification,
    is_counter,
    is_counter_label,
    parse_classification,
    parse_front_matter,
    parse_head_field,
    parse_start_line,
)
from patina_hooks.extract.session_labels import (
    Entry,
    has_distinctive_words,
    is_session_start,
    kind_of,
    parse_timed_entry,
)
from patina_hooks.specs.values import TOO_MANY, Document, Extraction, Observation, Omission
from patina_hooks.text.markdown import (
    Block,
    TextLine,
    number_lines,
    parse_blocks,
    split_item,
    split_passages,
    strip_quote,
)

MAX_OBSERVATIONS = 5_000
"""The limit of observations per document; the rest is one omission."""


def extract_session(document: Document) -> Extraction:
    """Extract the observations of a session document, its title and its metadata.

    fields: id, started, started_ms, adapter, branch, start_tag, end_tag, starting_commit, work_type, files,
        commits, patterns, status, where the document states them; strings as written, numbers stripped;
        last_activity is the time (HH:MM, local) of the last heading that has one.
    """
    reader = _SessionReader()
    reader.read(number_lines(document.text))
    return Extraction(
        observations=tuple(reader.observations),
        title=reader.title or "",
        fields=reader.fields,
        omissions=tuple(sorted(reader.omissions, key=lambda omission: omission.first)),
    )


class _KindSection(NamedTuple):
    """An open heading.

    kind: None if its words name none. The root has level 0.
    """

    level: int
    title: str
    kind: str | None


class _Scope(NamedTuple):
    """The current label, valid to the next label or heading, or only to the next blank line."""

    name: str
    kind: str
    until_blank: bool = False


class _Pending(NamedTuple):
    """A heading or label with distinctive words, before its content.

    It becomes a text of lower weight, or, if nothing follows below it, an observation of this kind.
    section: the section that contains it.
    """

    line: TextLine
    kind: str
    level: int
    section: str


_LABEL_LEVEL = 7  # below headings of every level
_CONTENT_LEVEL = 8
_HEADING_WEIGHT = 0.75  # less than the content below it
_LONGEST_BARE_LABEL = 4  # words; a longer line is a sentence


class _SessionReader:
    def __init__(self) -> None:
        self.observations: list[Observation] = []
        self.omissions: list[Omission] = []
        self.fields: dict[str, str] = {}
        self.title: str | None = None
        self._sections = [_KindSection(0, "", None)]
        self._scope: _Scope | None = None
        self._pending: _Pending | None = None
        self._context: list[TextLine] = []
        self._in_head = True
        self._after_blank = True
        self._previous_end = 0

    def read(self, lines: Sequence[TextLine]) -> None:
        try:
            for block in parse_blocks(lines[self._front_matter(lines) :]):
                self._block(block)
            self._flush_context()
            self._settle(level=1)
        except LimitReached as limit:
            self.omissions = [omission for omission in self.omissions if omission.last < limit.line]
            self.omissions.append(Omission(limit.line, lines[-1].number, TOO_MANY))

    # --- one method per kind of block -----------------------------------------------------------------

    def _block(self, block: Block) -> None:
        if block.kind == "blank":
            self._blank(block.lines[0])
            return
        if block.kind == "heading":
            self._heading(block)
        elif block.kind in ("comment", "rule"):
            self._left_out(block)
        elif self._section_kind() == "context":
            self._context.extend(block.lines)
        else:
            self._content(block)
        self._in_head = self._in_head and block.kind in ("label", "heading", "comment")
        self._after_blank = False
        self._previous_end = block.lines[-1].number

    def _blank(self, line: TextLine) -> None:
        self._after_blank = True
        if self._scope and self._scope.until_blank:
            self._scope = None
        if self._context:
            self._context.append(line)

    def _heading(self, block: Block) -> None:
        self._flush_context()
        self._settle(block.level)
        self._scope = None
        while self._sections[-1].level >= block.level:
            self._sections.pop()
        title, entry, kind = block.text, parse_timed_entry(block.text), kind_of(block.text)
        if self.title is None and entry is None and (block.level == 1 or kind is None):
            self.title = _plain(title)
            self._sections.append(_KindSection(block.level, title, None))
            if len(self.title) > TITLE_CAP:
                self._emit("text", split_passages([TextLine(block.lines[0].number, self.title)]), section="")
            self._omit("title", block.lines)
            return
        self._in_head, above = False, self._sections[-1].title
        self._sections.append(_KindSection(block.level, title, entry.kind if entry else kind))
        if entry:
            self._timed(block, entry)
        elif (
            _plain(title) in ("", self.title) or is_classification(title) or not has_distinctive_words(title)
        ):
            self._omit("heading", block.lines)
        elif self._section_kind() == "context":
            self._context = [TextLine(block.lines[0].number, title)]
        else:
            line = TextLine(block.lines[0].number, title)
            self._pending = _Pending(line, self._kind(), block.level, above)

    def _timed(self, block: Block, entry: Entry) -> None:
        self.fields["last_activity"] = entry.time
        if entry.text:
            self._emit(self._kind(), split_passages([TextLine(block.lines[0].number, entry.text)]))
        self._omit("time" if entry.text else "heading", block.lines)

    def _left_out(self, block: Block) -> None:
        if block.kind == "rule":
            self._scope = None
            self._omit("rule", block.lines)
        else:
            is_placeholder = block.lines[0].text.lstrip("-<! \t").startswith("AI:")
            self._omit("placeholder" if is_placeholder else "comment", block.lines)
        if self._context:
            self._context.extend(TextLine(line.number, "") for line in block.lines)

    def _content(self, block: Block) -> None:
        if block.kind == "label":
            self._label(block, block.name, block.text)
        elif block.kind == "bold":
            self._bold(block)
        elif block.kind == "item":
            self._item(block)
        elif block.kind == "paragraph":
            self._paragraph(block)
        elif block.kind == "quote":
            self._quote(block)
        else:
            self._emit("text", split_passages(block.lines))

    def _label(self, block: Block, name: str, text: str) -> None:
        if self._in_head and text and self._take_head_field(block, name, text):
            return
        kind, is_distinctive = kind_of(name), has_distinctive_words(name)
        if text and (kind is None or is_distinctive):
            self._statement(block, name, kind, until_blank=kind is None)
            return
        self._settle(_LABEL_LEVEL)
        self._scope = None
        self._scope = _Scope(name, kind or self._kind(), until_blank=is_counter_label(name))
        if text:
            first = TextLine(block.lines[0].number, text)
            self._emit(self._kind(), split_passages([first, *_trimmed(block.lines[1:])]))
            self._omit("label", block.lines[:1])
        elif is_counter_label(name) or not is_distinctive:
            self._omit("label", block.lines)
        else:
            line = TextLine(block.lines[0].number, name)
            self._pending = _Pending(line, self._kind(), _LABEL_LEVEL, self._sections[-1].title)

    def _bold(self, block: Block) -> None:
        """Read a line that is bold as a whole: a label without its colon, or a statement."""
        name, _, text = block.name.partition(": ")
        if kind_of(name) and (text or len(name.split()) <= _LONGEST_BARE_LABEL):
            self._label(block, name, text)
        else:
            self._statement(block, block.name, None, until_blank=False)

    def _statement(self, block: Block, name: str, kind: str | None, until_blank: bool) -> None:
        """Keep bold words that do more than name a kind: they are text."""
        if self._after_blank:
            self._scope = None
        kind = kind or self._kind()
        self._emit(kind, split_passages(_trimmed(block.lines)))
        self._scope = _Scope(name, kind, until_blank)

    def _item(self, block: Block) -> None:
        comment = block.text.startswith("<!--") and block.text.endswith("-->")
        if comment and len(block.lines) == 1:
            self._omit("placeholder", block.lines)
        elif not block.text and not any(line.text.strip() for line in block.lines[1:]):
            self._omit("empty item", block.lines)
        elif self._scope and is_counter_label(self._scope.name) and is_counter(_whole(block)):
            self._omit("counter", block.lines)
        elif is_classification(self._sections[-1].title) and (fields := parse_classification(_whole(block))):
            self.fields.update(fields)
            self._omit("classification", block.lines)
        else:
            self._emit(self._kind(), split_item(block.lines))

    def _paragraph(self, block: Block) -> None:
        name = block.text.removesuffix(":")
        is_label = len(block.lines) == 1 and name != block.text and len(name.split()) <= _LONGEST_BARE_LABEL
        if is_label and kind_of(name):
            self._label(block, name, "")
            return
        lines = _trimmed(block.lines)
        if is_session_start(self._sections[-1].title):
            lines = [line for line in lines if not self._take_start_line(line)]
        self._emit(self._kind(), split_passages(lines))

    def _quote(self, block: Block) -> None:
        lines = [TextLine(line.number, strip_quote(line.text)) for line in block.lines]
        if any(line.text for line in lines):
            self._emit(self._kind(), split_passages(lines))
        else:
            self._omit("empty quotation", block.lines)

    # --- metadata of the document ---------------------------------------------------------------------

    def _front_matter(self, lines: Sequence[TextLine]) -> int:
        """Read YAML at the start.

        Return the index of the first line after it.
        """
        matter = parse_front_matter(lines)
        if matter is None:
            return 0
        self.fields.update(matter.fields)
        self.title = self.fields.pop("title", None)
        unknown = {line.number for line in matter.unknown_lines}
        for line in lines[: matter.end]:
            if line.number not in unknown and line.text.strip():
                self._omit("front matter", [line])
                self._previous_end = line.number
        self._emit("text", split_passages(matter.unknown_lines), section="front matter")
        self._previous_end = matter.end
        return matter.end

    def _take_head_field(self, block: Block, name: str, text: str) -> bool:
        field = parse_head_field(name, text) if len(block.lines) == 1 else None
        if field is None or self.fields.setdefault(field.name, field.value) != field.value:
            return False
        self._omit("head field", block.lines)
        return True

    def _take_start_line(self, line: TextLine) -> bool:
        """Take a line of `session start`, which repeats the head.

        A goal that is not the title stays.
        """
        field = parse_start_line(line.text)
        if field is None:
            return False
        if field.name == "title":
            if field.value != self.title:
                self._emit("goal", split_passages([TextLine(line.number, field.value)]))
        elif self.fields.setdefault(field.name, field.value) != field.value:
            return False
        self._omit("session start", [line])
        return True

    # --- state --------------------------------------------------------------------------------------

    def _section_kind(self) -> str:
        return next((section.kind for section in reversed(self._sections) if section.kind), "text")

    def _kind(self) -> str:
        return self._scope.kind if self._scope else self._section_kind()

    def _flush_context(self) -> None:
        """Emit the summary of the previous session as passages, whatever its layout."""
        lines, self._context = self._context, []
        self._emit("context", split_passages(lines))

    def _settle(self, level: int) -> None:
        """Emit the pending heading or label: its content, of this level, follows."""
        pending, self._pending = self._pending, None
        if pending is None:
            return
        passages = split_passages([pending.line])
        if pending.level < level:
            self._emit("text", passages, pending.section, _HEADING_WEIGHT)
        else:
            self._emit(pending.kind, passages, pending.section)

    def _emit(
        self, kind: str, passages: Iterable[tuple[int, str]], section: str | None = None, weight: float = 1.0
    ) -> None:
        if section is None:
            section = self._scope.name if self._scope else self._sections[-1].title
        for line, text in passages:
            self._settle(_CONTENT_LEVEL)
            if len(self.observations) == MAX_OBSERVATIONS:
                raise LimitReached(line)
            self.observations.append(Observation(kind, text, line, section, weight))

    def _omit(self, reason: str, lines: Sequence[TextLine]) -> None:
        """Omit lines; a pending heading stays pending, since they are not content."""
        first, last = lines[0].number, lines[-1].number
        previous = self.omissions[-1] if self.omissions else None
        is_adjacent = previous is not None and previous.last in (first - 1, self._previous_end)
        if previous and is_adjacent and previous.reason == reason:
            self.omissions[-1] = Omission(previous.first, last, reason)
        else:
            self.omissions.append(Omission(first, last, reason))


def _whole(block: Block) -> str:
    return "\n".join([block.text, *(line.text for line in block.lines[1:])]).strip()


def _plain(title: str) -> str:
    return title.removeprefix("Session:").strip()


def _trimmed(lines: Iterable[TextLine]) -> list[TextLine]:
    return [TextLine(line.number, line.text.strip()) for line in lines]
