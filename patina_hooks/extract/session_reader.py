"""The reader of session documents: every line ends in an observation or in an omission with its reason.

A state machine over blocks. Its state is small: the open headings, the label in force, and a heading or
label that has nothing below it yet. It knows the documents that this project writes and their ancestors;
whatever it does not know it keeps as text: headings and labels too, where they have words of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from patina_hooks.extract.extraction import TITLE_CAP
from patina_hooks.extract.session_fields import (
    classified,
    front_matter,
    head_field,
    is_classification,
    is_counted,
    is_counter,
    start_line,
)
from patina_hooks.extract.session_labels import Entry, is_session_start, kind_of, says_more, timed_entry
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
"""More than this many observations of one document are left out, with one omission that says so."""


def extract_session(document: Document) -> Extraction:
    """The observations of a session document, its title and what it states of itself.

    fields: those of id, started, started_ms, adapter, branch, start_tag, end_tag, starting_commit, work_type,
        files, commits, patterns, status that the document states; strings as written, numbers stripped;
        last_activity is the time (HH:MM, local) of the last heading that has one.
    """
    reader = _Reader()
    reader.read(number_lines(document.text))
    return Extraction(
        observations=tuple(reader.observations),
        title=reader.title or "",
        fields=reader.fields,
        omissions=tuple(sorted(reader.omissions, key=lambda omission: omission.first)),
    )


class _Section(NamedTuple):
    """An open heading; `kind` is None where its words name none. The root has level 0."""

    level: int
    title: str
    kind: str | None


class _Scope(NamedTuple):
    """A label in force, to the next label or heading, or only to the next blank line."""

    name: str
    kind: str
    until_blank: bool = False


class _Pending(NamedTuple):
    """A heading or label with words of its own: text of less weight, or, if nothing comes to stand under it,
    an observation of this kind. section: what it stands under itself."""

    line: TextLine
    kind: str
    level: int
    section: str


class _Full(Exception):
    """Not an error: it ends the reading. `line` holds the first observation that was left out."""

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


_LABEL_LEVEL = 7  # a label stands below headings of every level
_CONTENT_LEVEL = 8
_HEADING_WEIGHT = 0.75  # what stands below tells more
_LONGEST_BARE_LABEL = 4  # words; a longer line that opens like a label is a sentence


class _Reader:
    def __init__(self) -> None:
        self.observations: list[Observation] = []
        self.omissions: list[Omission] = []
        self.fields: dict[str, str] = {}
        self.title: str | None = None
        self._sections = [_Section(0, "", None)]
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
        except _Full as full:
            self.omissions = [omission for omission in self.omissions if omission.last < full.line]
            self.omissions.append(Omission(full.line, lines[-1].number, TOO_MANY))

    # --- one method a kind of block -----------------------------------------------------------------

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
        title, entry, kind = block.text, timed_entry(block.text), kind_of(block.text)
        if self.title is None and entry is None and (block.level == 1 or kind is None):
            self.title = _plain(title)
            self._sections.append(_Section(block.level, title, None))
            if len(self.title) > TITLE_CAP:
                self._emit("text", split_passages([TextLine(block.lines[0].number, self.title)]), section="")
            self._omit("title", block.lines)
            return
        self._in_head, above = False, self._sections[-1].title
        self._sections.append(_Section(block.level, title, entry.kind if entry else kind))
        if entry:
            self._timed(block, entry)
        elif _plain(title) in ("", self.title) or is_classification(title) or not says_more(title):
            self._omit("heading", block.lines)
        elif self._section_kind() == "context":
            self._context = [TextLine(block.lines[0].number, title)]
        else:
            said = TextLine(block.lines[0].number, title)
            self._pending = _Pending(said, self._kind(), block.level, above)

    def _timed(self, block: Block, entry: Entry) -> None:
        self.fields["last_activity"] = entry.time
        if entry.said:
            self._emit(self._kind(), split_passages([TextLine(block.lines[0].number, entry.said)]))
        self._omit("time" if entry.said else "heading", block.lines)

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
        kind, more = kind_of(name), says_more(name)
        if text and (kind is None or more):
            self._statement(block, name, kind, until_blank=kind is None)
            return
        self._settle(_LABEL_LEVEL)
        self._scope = None
        self._scope = _Scope(name, kind or self._kind(), until_blank=is_counted(name))
        if text:
            first = TextLine(block.lines[0].number, text)
            self._emit(self._kind(), split_passages([first, *_trimmed(block.lines[1:])]))
            self._omit("label", block.lines[:1])
        elif is_counted(name) or not more:
            self._omit("label", block.lines)
        else:
            said = TextLine(block.lines[0].number, name)
            self._pending = _Pending(said, self._kind(), _LABEL_LEVEL, self._sections[-1].title)

    def _bold(self, block: Block) -> None:
        """A line that is bold as a whole: a label without its colon, or a statement."""
        name, _, text = block.name.partition(": ")
        if kind_of(name) and (text or len(name.split()) <= _LONGEST_BARE_LABEL):
            self._label(block, name, text)
        else:
            self._statement(block, block.name, None, until_blank=False)

    def _statement(self, block: Block, name: str, kind: str | None, until_blank: bool) -> None:
        """Bold words that do more than name a kind say something themselves: they stay in the text."""
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
        elif self._scope and is_counted(self._scope.name) and is_counter(_whole(block)):
            self._omit("counter", block.lines)
        elif is_classification(self._sections[-1].title) and (fields := classified(_whole(block))):
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

    # --- what the document states of itself ---------------------------------------------------------

    def _front_matter(self, lines: Sequence[TextLine]) -> int:
        """Read YAML at the start; return the index of the first line after it."""
        found = front_matter(lines)
        if found is None:
            return 0
        self.fields.update(found.fields)
        self.title = self.fields.pop("title", None)
        kept = {line.number for line in found.kept}
        for line in lines[: found.end]:
            if line.number not in kept and line.text.strip():
                self._omit("front matter", [line])
                self._previous_end = line.number
        self._emit("text", split_passages(found.kept), section="front matter")
        self._previous_end = found.end
        return found.end

    def _take_head_field(self, block: Block, name: str, text: str) -> bool:
        field = head_field(name, text) if len(block.lines) == 1 else None
        if field is None or self.fields.setdefault(field.name, field.value) != field.value:
            return False
        self._omit("head field", block.lines)
        return True

    def _take_start_line(self, line: TextLine) -> bool:
        """Lines that `session start` wrote repeat the head; a goal that is not the title is a goal."""
        field = start_line(line.text)
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
        """The summary of the session before is one thought, however it was laid out."""
        lines, self._context = self._context, []
        self._emit("context", split_passages(lines))

    def _settle(self, level: int) -> None:
        """Decide on a heading or label that waited: below it comes something of this level."""
        pending, self._pending = self._pending, None
        if pending is None:
            return
        found = split_passages([pending.line])
        if pending.level < level:
            self._emit("text", found, pending.section, _HEADING_WEIGHT)
        else:
            self._emit(pending.kind, found, pending.section)

    def _emit(
        self, kind: str, found: Iterable[tuple[int, str]], section: str | None = None, weight: float = 1.0
    ) -> None:
        if section is None:
            section = self._scope.name if self._scope else self._sections[-1].title
        for line, text in found:
            self._settle(_CONTENT_LEVEL)
            if len(self.observations) == MAX_OBSERVATIONS:
                raise _Full(line)
            self.observations.append(Observation(kind, text, line, section, weight))

    def _omit(self, reason: str, lines: Sequence[TextLine]) -> None:
        """Leave lines out. A heading that waits goes on waiting: they say nothing below it."""
        first, last = lines[0].number, lines[-1].number
        before = self.omissions[-1] if self.omissions else None
        touches = before is not None and before.last in (first - 1, self._previous_end)
        if before and touches and before.reason == reason:
            self.omissions[-1] = Omission(before.first, last, reason)
        else:
            self.omissions.append(Omission(first, last, reason))


def _whole(block: Block) -> str:
    return "\n".join([block.text, *(line.text for line in block.lines[1:])]).strip()


def _plain(title: str) -> str:
    return title.removeprefix("Session:").strip()


def _trimmed(lines: Iterable[TextLine]) -> list[TextLine]:
    return [TextLine(line.number, line.text.strip()) for line in lines]
