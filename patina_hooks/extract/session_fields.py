"""Read the metadata of a session document: head, front matter, classification, counters."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from patina_hooks.extract.extraction import TITLE_CAP
from patina_hooks.text.markdown import TextLine
from patina_hooks.text.session_ids import is_session_id, parse_tag

_TAG = re.compile(r"session-\d{8}-\d{6}(?:-[a-z0-9_-]+?)?-(start|end)")

_HEAD = {
    "id": "id",
    "session id": "id",
    "started": "started",
    "start timestamp": "started_ms",
    "date": "started",
    "llm": "adapter",
    "adapter": "adapter",
    "git branch": "branch",
    "branch": "branch",
    "session tag": "start_tag",
    "starting commit": "starting_commit",
    "commit": "starting_commit",
}

_FRONT_MATTER = {
    "id": "id",
    "title": "title",
    "created": "started",
    "started": "started",
    "date": "started",
    "llm": "adapter",
    "adapter": "adapter",
    "branch": "branch",
    "git.branch": "branch",
    "git.starting_commit": "starting_commit",
    "git.start_tag": "start_tag",
    "git.end_tag": "end_tag",
}
_FRONT_MATTER_IGNORED = frozenset({"type", "status"})
_FRONT_MATTER_LINES = 200
_FRONT_MATTER_CHARACTERS = 8_000
_FRONT_MATTER_BRACKETS = 200  # PyYAML's time is quadratic in the open ones

_CLASSIFICATION = {"files changed": "files", "commits": "commits", "patterns modified": "patterns"}
_COUNTERS = ("commits this session:", "files changed:", "last commit:")
_START_LINES = {
    "session initialized with goal:": "title",
    "working on branch:": "branch",
    "tagged as:": "start_tag",
}


class Field(NamedTuple):
    """A field and its value.

    name: "title" for the goal that `session start` writes into the log.
    """

    name: str
    value: str


class FrontMatter(NamedTuple):
    """The front matter of a document.

    fields: the known ones.
    unknown_lines: the lines that are not known fields.
    end: the index after its last line.
    """

    fields: dict[str, str]
    unknown_lines: tuple[TextLine, ...]
    end: int


def parse_head_field(name: str, value: str) -> Field | None:
    """Parse a line `**Name**: value` of the head, None if it is not a known field."""
    field = _HEAD.get(name.strip().lower())
    plain = value.strip().strip("`").strip()
    if field is None or not plain or (field == "id" and not is_session_id(plain)):
        return None
    return Field(field, plain)


def is_classification(title: str) -> bool:
    """Whether a heading is that of the section that `session end` writes."""
    return title.lower() == "session classification"


def parse_classification(text: str) -> dict[str, str] | None:
    """Parse an item of `## Session Classification`, None if it is not a known field."""
    name, _, value = text.partition(":")
    key, plain = name.strip().lower(), value.strip()
    if key == "work type" and plain and "\n" not in plain:
        return {"work_type": plain}
    if key == "status" and plain == "abandoned":
        return {"status": plain}
    if key == "session tags":
        return {f"{tag[1]}_tag": tag[0] for tag in _TAG.finditer(plain) if parse_tag(tag[0])}
    if key in _CLASSIFICATION and plain.isdecimal():
        return {_CLASSIFICATION[key]: plain}
    return None


def is_counter_label(name: str) -> bool:
    """Whether a label is the one that `session update` writes above its counters."""
    return name.lower() == "git activity"


def is_counter(text: str) -> bool:
    """Whether an item is one that `session update` writes under `**Git Activity:**`."""
    return "\n" not in text and text.lower().startswith(_COUNTERS)


def parse_start_line(text: str) -> Field | None:
    """Parse a line that `session start` writes into the log, None for another line."""
    lower = text.lower()
    prefix = next((prefix for prefix in _START_LINES if lower.startswith(prefix)), None)
    return Field(_START_LINES[prefix], text[len(prefix) :].strip()) if prefix else None


def parse_front_matter(lines: Sequence[TextLine]) -> FrontMatter | None:
    """Parse YAML between `---` lines at the start, None if absent, too large or not a mapping."""
    end = _front_matter_end(lines)
    if end is None:
        return None
    text = "\n".join(line.text for line in lines[1 : end - 1])
    if len(text) > _FRONT_MATTER_CHARACTERS or text.count("[") + text.count("{") > _FRONT_MATTER_BRACKETS:
        return None
    scalars = _scalars(text)
    if not scalars or scalars[0].path[:1] in ("", "."):
        return None
    fields: dict[str, str] = {}
    known_lines: set[int] = {0, end - 1}
    unknown_lines: set[int] = set()
    for scalar in scalars:
        field = _field(scalar)
        is_whole = field != "title" or len(scalar.value) <= TITLE_CAP
        is_stored = field is not None and fields.setdefault(field, scalar.value) == scalar.value
        is_known = (is_stored and is_whole) or scalar.path in _FRONT_MATTER_IGNORED
        (known_lines if is_known else unknown_lines).update(range(scalar.first + 1, scalar.last + 2))
    rest = (line for index, line in enumerate(lines[:end]) if index not in known_lines - unknown_lines)
    return FrontMatter(fields, tuple(line for line in rest if line.text.strip() not in ("", "git:")), end)


def _field(scalar: _Scalar) -> str | None:
    field = _FRONT_MATTER.get(scalar.path)
    is_valid = field != "id" or is_session_id(scalar.value)
    return field if scalar.value and scalar.first == scalar.last and is_valid else None


def _front_matter_end(lines: Sequence[TextLine]) -> int | None:
    if not lines or lines[0].text.rstrip() != "---":
        return None
    closing = (
        index
        for index, line in enumerate(lines[1:_FRONT_MATTER_LINES], 1)
        if line.text.rstrip() in ("---", "...")
    )
    end = next(closing, None)
    return None if end is None else end + 1


class _Mark(Protocol):
    """The position of an event; PyYAML has two unrelated classes for it."""

    @property
    def line(self) -> int: ...


class _Scalar(NamedTuple):
    path: str
    value: str
    first: int
    last: int


def _scalars(text: str) -> list[_Scalar] | None:
    # PyYAML takes 20 ms to import and most documents have no front matter.
    import yaml

    try:
        return list(_walk(yaml.parse(text, Loader=yaml.SafeLoader)))
    except yaml.YAMLError:
        return None


def _walk(events: Iterator[object]) -> Iterator[_Scalar]:
    """Yield scalars by their dotted path.

    Events, not objects: no alias is expanded, depth needs no stack.
    """
    import yaml

    path: list[str | None] = []  # None: a mapping before its next key; "": a sequence
    key_line = 0
    for event in events:
        if isinstance(event, yaml.MappingStartEvent):
            path.append(None)
        elif isinstance(event, yaml.SequenceStartEvent):
            path.append("")
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            path.pop()
            _end_value(path)
        elif isinstance(event, yaml.AliasEvent):
            _end_value(path)
        elif isinstance(event, yaml.ScalarEvent):
            if not path:
                return
            if path[-1] is None:
                path[-1], key_line = event.value, _line(event.start_mark)
                continue
            yield _Scalar(".".join(part or "" for part in path), event.value, key_line, _line(event.end_mark))
            _end_value(path)


def _line(mark: _Mark | None) -> int:
    return mark.line if mark else 0


def _end_value(path: list[str | None]) -> None:
    if path and path[-1] != "":
        path[-1] = None
