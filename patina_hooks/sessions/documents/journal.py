"""The intent to change a session, written before the first step, so that a kill leaves no partial change.

A start creates refs, then a document; an addition is written to the copy and to the work tree; an end creates
refs, then the archive, then removes the active document. If the process dies in between, the next session
command or worker finds the intent and completes it, or discards it if its refs were not created. Every step
is idempotent. There is one intent per repository, since session commands run one at a time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TypedDict

from patina_hooks.config.parsing import parse_json
from patina_hooks.config.schema import read_mapping, read_value
from patina_hooks.sessions.documents.document import Ending, Oid
from patina_hooks.sessions.documents.store import Record, Store, parse_record, record_fields
from patina_hooks.text.session_ids import is_session_id


@dataclass(frozen=True, slots=True)
class Starting:
    """A start: the record, with the tag to create on its starting commit, and the document."""

    record: Record
    document: str


@dataclass(frozen=True, slots=True)
class Adding:
    """An addition to a document.

    times: occurrences of the block after the addition.
    """

    session: str
    block: str
    times: int


@dataclass(frozen=True, slots=True)
class Closing:
    """An end.

    git_dir, root: the work tree of the archived document, as in `Record`.
    """

    ending: Ending
    git_dir: str
    root: str


Intent = Starting | Adding | Closing


def write_intent(store: Store, intent: Intent) -> None:
    """Write an intent. Raises `SessionError` if it cannot be written."""
    fields: dict[str, object]
    if isinstance(intent, Starting):
        fields = {"action": "start", "record": record_fields(intent.record), "document": intent.document}
    elif isinstance(intent, Adding):
        fields = {"action": "add", "session": intent.session, "block": intent.block, "times": intent.times}
    else:
        ending = _ending_fields(intent.ending)
        fields = {"action": "end", **ending, "git_dir": intent.git_dir, "root": intent.root}
    store.save_intent(json.dumps(fields, indent=1) + "\n")


def read_intent(store: Store) -> Intent | None:
    """Read the intent that a kill left, None if there is none or it is invalid."""
    text = store.intent()
    if text is None:
        return None
    with suppress(ValueError):
        fields = read_mapping(object, parse_json(text))
        reader = _READERS.get(str(fields.get("action")))
        return reader(fields) if reader else None
    return None


def read_ending(fields: object) -> Ending:
    """Read the end in an intent. Raises ValueError if it is invalid."""
    return read_value(Ending, fields, ignore_unknown=True)


def _ending_fields(ending: Ending) -> dict[str, object]:
    numbers = ending.numbers
    return {
        "title": ending.title,
        "start_tag": str(ending.start_tag),
        "end_tag": str(ending.end_tag),
        "commit": ending.commit,
        "numbers": [numbers.commits, numbers.files, numbers.patterns] if numbers else None,
        "abandoned": ending.abandoned,
    }


def _starting(fields: Mapping[str, object]) -> Starting:
    starting = read_value(_StartFields, fields, ignore_unknown=True)
    record = parse_record(starting["record"])
    read_value(_Commit, {"commit": record.header.starting_commit})
    return Starting(record, starting["document"])


def _adding(fields: Mapping[str, object]) -> Adding:
    adding = read_value(Adding, fields, ignore_unknown=True)
    if not is_session_id(adding.session):
        raise ValueError(adding.session)
    return adding


def _closing(fields: Mapping[str, object]) -> Closing:
    tree = read_value(_WorkTreeFields, fields, ignore_unknown=True)
    return Closing(read_ending(fields), tree["git_dir"], tree["root"])


class _StartFields(TypedDict):
    record: object
    document: str


class _WorkTreeFields(TypedDict):
    git_dir: str
    root: str


class _Commit(TypedDict):
    commit: Oid


_READERS: Mapping[str, Callable[[Mapping[str, object]], Intent]] = {
    "start": _starting,
    "add": _adding,
    "end": _closing,
}
