"""The intent to change a session, written before the first step, so that no kill leaves half of it.

A start makes refs, then a document; an addition is written to the copy and to the work tree; an end makes
refs, then the archive, then removes the active document. If the process dies between, the next session
command or worker finds the intent and completes it, or forgets it where its refs were not made yet. Every
step can be done twice. There is one intent per repository, since session commands run one at a time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from patina_hooks.config.parsing import parse_json
from patina_hooks.sessions.documents.document import Ending
from patina_hooks.sessions.documents.store import Record, Store, parse_record, record_fields
from patina_hooks.sessions.metrics import Numbers
from patina_hooks.text.session_ids import TagName, is_session_id, parse_tag

_OID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


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
    try:
        fields = parse_json(text)
        return _READERS[fields["action"]](fields)
    except (ValueError, KeyError, TypeError, RecursionError, AttributeError):
        return None


def read_ending(fields: dict[str, object]) -> Ending:
    """The end in an intent. Raises ValueError, KeyError or TypeError where it is none."""
    numbers = fields["numbers"]
    return Ending(
        title=text_of(fields["title"]),
        start_tag=tag_of(fields["start_tag"], "start"),
        end_tag=tag_of(fields["end_tag"], "end"),
        commit=oid_of(fields["commit"]),
        numbers=_numbers(numbers) if isinstance(numbers, list) else None,
        abandoned=fields["abandoned"] is True,
    )


def text_of(value: object) -> str:
    """The value, which has to be a text."""
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def oid_of(value: object) -> str:
    """The value, which has to be a full object id."""
    if not _OID.fullmatch(text_of(value)):
        raise ValueError(value)
    return str(value)


def tag_of(value: object, edge: str) -> TagName:
    """The value as a session tag at that edge."""
    tag = parse_tag(text_of(value))
    if tag is None or tag.edge != edge:
        raise ValueError(value)
    return tag


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


def _starting(fields: dict[str, object]) -> Starting:
    record = fields["record"]
    if not isinstance(record, dict):
        raise TypeError(record)
    parsed = parse_record(record)
    oid_of(parsed.header.starting_commit)
    return Starting(parsed, text_of(fields["document"]))


def _adding(fields: dict[str, object]) -> Adding:
    session, times = text_of(fields["session"]), fields["times"]
    if not is_session_id(session) or not isinstance(times, int):
        raise ValueError(session)
    return Adding(session, text_of(fields["block"]), times)


def _closing(fields: dict[str, object]) -> Closing:
    return Closing(read_ending(fields), text_of(fields["git_dir"]), text_of(fields["root"]))


def _numbers(values: list[object]) -> Numbers:
    commits, files, patterns = (value if isinstance(value, int) else 0 for value in values)
    return Numbers(commits, files, patterns)


_READERS: Mapping[str, Callable[[dict[str, object]], Intent]] = {
    "start": _starting,
    "add": _adding,
    "end": _closing,
}
