"""The intent to change a session, written before the first step, so that no kill leaves half of it.

A start makes refs, then a document; an addition is written to the copy and to the work tree; an end makes
refs, then the archive, then removes the active document. If the process dies between, the next session
command or worker finds the intent and completes it, or forgets it where its refs were not made yet. Every
step can be done twice. There is one intent per repository, since session commands run one at a time.
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
    """A start: the record to keep, with the tag to make on its starting commit, and the document."""

    record: Record
    document: str


@dataclass(frozen=True, slots=True)
class Adding:
    """An addition to a document. times: how often the document holds the block once it is added."""

    session: str
    block: str
    times: int


@dataclass(frozen=True, slots=True)
class Closing:
    """An end. git_dir, root: the work tree that gets the archive, as in `Record`."""

    ending: Ending
    git_dir: str
    root: str


Intent = Starting | Adding | Closing


def write_intent(store: Store, intent: Intent) -> None:
    """Write what is about to happen. Raises `SessionError` where it cannot be written."""
    fields: dict[str, object]
    if isinstance(intent, Starting):
        fields = {"action": "start", "record": record_fields(intent.record), "document": intent.document}
    elif isinstance(intent, Adding):
        fields = {"action": "add", "session": intent.session, "block": intent.block, "times": intent.times}
    else:
        ending = _ending_fields(intent.ending)
        fields = {"action": "end", **ending, "git_dir": intent.git_dir, "root": intent.root}
    store.keep_intent(json.dumps(fields, indent=1) + "\n")


def read_intent(store: Store) -> Intent | None:
    """The intent that was left behind, None where there is none or it makes no sense."""
    text = store.intent()
    if text is None:
        return None
    with suppress(ValueError):
        fields = read_mapping(object, parse_json(text))
        reader = _READERS.get(str(fields.get("action")))
        return reader(fields) if reader else None
    return None


def read_ending(fields: object) -> Ending:
    """The end in an intent. Raises ValueError where it is none."""
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
    stated = read_value(_Starting, fields, ignore_unknown=True)
    record = parse_record(stated["record"])
    read_value(_Commit, {"commit": record.header.starting_commit})
    return Starting(record, stated["document"])


def _adding(fields: Mapping[str, object]) -> Adding:
    adding = read_value(Adding, fields, ignore_unknown=True)
    if not is_session_id(adding.session):
        raise ValueError(adding.session)
    return adding


def _closing(fields: Mapping[str, object]) -> Closing:
    place = read_value(_Place, fields, ignore_unknown=True)
    return Closing(read_ending(fields), place["git_dir"], place["root"])


class _Starting(TypedDict):
    record: object
    document: str


class _Place(TypedDict):
    git_dir: str
    root: str


class _Commit(TypedDict):
    commit: Oid


_READERS: Mapping[str, Callable[[Mapping[str, object]], Intent]] = {
    "start": _starting,
    "add": _adding,
    "end": _closing,
}
