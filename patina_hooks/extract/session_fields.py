"""What a session document states of itself: head, front matter, classification, counters."""

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
_FRONT_MATTER_BRACKETS = 200  # PyYAML's time grows with the square of the open ones

_CLASSIFICATION = {"files changed": "files", "commits": "commits", "patterns modified": "patterns"}
_COUNTERS = ("commits this session:", "files changed:", "last commit:")
_START_LINES = {
    "session initialized with goal:": "title",
    "working on branch:": "branch",
    "tagged as:": "start_tag",
}


class Field(NamedTuple):
    """A stated fact; `name` is "title" for the goal that `session start` writes into the log."""

    name: str
    value: str


class FrontMatter(NamedTuple):
    """fields: what it states; kept: lines that state something else; end: index after its last line."""

    fields: dict[str, str]
    kept: tuple[TextLine, ...]
    end: int


def head_field(name: str, value: str) -> Field | None:
    """A line `**Name**: value` in the head; None for one that states no field."""
    field = _HEAD.get(name.strip().lower())
    plain = value.strip().strip("`").strip()
    if field is None or not plain or (field == "id" and not is_session_id(plain)):
        return None
    return Field(field, plain)


def is_classification(title: str) -> bool:
    """The section that `session end` writes."""
    return title.lower() == "session classification"


def classified(text: str) -> dict[str, str] | None:
    """Fields of one item under `## Session Classification`; None for an item that is no such field."""
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


def is_counted(name: str) -> bool:
    """The label that `session update` writes above its counters."""
    return name.lower() == "git activity"


def is_counter(text: str) -> bool:
    """An item that `session update` writes under `**Git Activity:**`."""
    return "\n" not in text and text.lower().startswith(_COUNTERS)


def start_line(text: str) -> Field | None:
    """A line that `session start` writes into the log."""
    low = text.lower()
    found = next((start for start in _START_LINES if low.startswith(start)), None)
    return Field(_START_LINES[found], text[len(found) :].strip()) if found else None


def front_matter(lines: Sequence[TextLine]) -> FrontMatter | None:
    """YAML between `---` lines at the start; None where there is none, or it is no mapping, or too large."""
    end = _front_matter_end(lines)
    if end is None:
        return None
    text = "\n".join(line.text for line in lines[1 : end - 1])
    if len(text) > _FRONT_MATTER_CHARACTERS or text.count("[") + text.count("{") > _FRONT_MATTER_BRACKETS:
        return None
    stated = _scalars(text)
    if not stated or stated[0].path[:1] in ("", "."):
        return None
    fields: dict[str, str] = {}
    used: set[int] = {0, end - 1}
    others: set[int] = set()
    for scalar in stated:
        field = _field(scalar)
        whole = field != "title" or len(scalar.value) <= TITLE_CAP
        taken = field is not None and fields.setdefault(field, scalar.value) == scalar.value
        spoken_for = used if (taken and whole) or scalar.path in _FRONT_MATTER_IGNORED else others
        spoken_for.update(range(scalar.first + 1, scalar.last + 2))
    dropped = used - others
    kept = (line for at, line in enumerate(lines[:end]) if at not in dropped)
    return FrontMatter(fields, tuple(line for line in kept if line.text.strip() not in ("", "git:")), end)


def _field(scalar: _Scalar) -> str | None:
    field = _FRONT_MATTER.get(scalar.path)
    usable = scalar.value and scalar.first == scalar.last and (field != "id" or is_session_id(scalar.value))
    return field if usable else None


def _front_matter_end(lines: Sequence[TextLine]) -> int | None:
    if not lines or lines[0].text.rstrip() != "---":
        return None
    closing = (
        at for at, line in enumerate(lines[1:_FRONT_MATTER_LINES], 1) if line.text.rstrip() in ("---", "...")
    )
    end = next(closing, None)
    return None if end is None else end + 1


class _Mark(Protocol):
    """Where an event begins or ends; PyYAML has two unrelated classes for it."""

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
    """Scalars by their dotted path. Events, not objects: aliases are never expanded, depth costs no stack."""
    import yaml

    path: list[str | None] = []  # None: a mapping that waits for its next key; "": a sequence
    key_line = 0
    for event in events:
        if isinstance(event, yaml.MappingStartEvent):
            path.append(None)
        elif isinstance(event, yaml.SequenceStartEvent):
            path.append("")
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            path.pop()
            _value_ended(path)
        elif isinstance(event, yaml.AliasEvent):
            _value_ended(path)
        elif isinstance(event, yaml.ScalarEvent):
            if not path:
                return
            if path[-1] is None:
                path[-1], key_line = event.value, _line(event.start_mark)
                continue
            yield _Scalar(".".join(part or "" for part in path), event.value, key_line, _line(event.end_mark))
            _value_ended(path)


def _line(mark: _Mark | None) -> int:
    return mark.line if mark else 0


def _value_ended(path: list[str | None]) -> None:
    if path and path[-1] != "":
        path[-1] = None
