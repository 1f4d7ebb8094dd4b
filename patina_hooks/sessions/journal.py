"""The intent to start or to end a session, written before its first step, so that no kill leaves half of it.

A start makes a tag, then a document; an end makes a tag, then the archive, then takes the active document
away. If the process dies between, the next session command finds the intent and either completes it (its tag
is there) or forgets it (nothing is there yet). Every step can be done twice.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from patina_hooks.parsing import parse_json
from patina_hooks.session_ids import TagName, parse_tag
from patina_hooks.sessions.document import Ending
from patina_hooks.sessions.metrics import Numbers
from patina_hooks.sessions.workspace import INTENT, Workspace

_OID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


@dataclass(frozen=True, slots=True)
class Starting:
    """A start: the tag to make on a commit, the document to write, the mark of the update window."""

    tag: TagName
    commit: str
    document: str
    window: str


Intent = Starting | Ending


def write_intent(workspace: Workspace, intent: Intent) -> None:
    """Say what is about to happen; raises `SessionError` where it cannot be written down."""
    if isinstance(intent, Starting):
        fields: dict[str, object] = {
            "action": "start",
            "tag": str(intent.tag),
            "commit": intent.commit,
            "document": intent.document,
            "window": intent.window,
        }
    else:
        numbers = intent.numbers
        fields = {
            "action": "end",
            "title": intent.title,
            "start_tag": str(intent.start_tag),
            "end_tag": str(intent.end_tag),
            "commit": intent.commit,
            "numbers": [numbers.commits, numbers.files, numbers.patterns] if numbers else None,
            "abandoned": intent.abandoned,
        }
    workspace.write(INTENT, json.dumps(fields, indent=1) + "\n")


def read_intent(workspace: Workspace) -> Intent | None:
    """The intent that was left behind, None where there is none or it says nothing that makes sense.

    It lies in the work tree, where a cloned repository can have put one: names and ids are checked, paths
    are never taken from it.
    """
    text = workspace.read(INTENT)
    if text is None:
        return None
    try:
        fields = parse_json(text)
        return _starting(fields) if fields["action"] == "start" else _ending(fields)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def forget_intent(workspace: Workspace) -> None:
    """All of it is done, or nothing is."""
    workspace.remove(INTENT)


def _starting(fields: dict[str, object]) -> Starting:
    return Starting(
        tag=_tag(fields["tag"], "start"),
        commit=_oid(fields["commit"]),
        document=_text(fields["document"]),
        window=_text(fields["window"]),
    )


def _ending(fields: dict[str, object]) -> Ending:
    numbers = fields["numbers"]
    return Ending(
        title=_text(fields["title"]),
        start_tag=_tag(fields["start_tag"], "start"),
        end_tag=_tag(fields["end_tag"], "end"),
        commit=_oid(fields["commit"]),
        numbers=_numbers(numbers) if isinstance(numbers, list) else None,
        abandoned=fields["abandoned"] is True,
    )


def _numbers(values: list[object]) -> Numbers:
    commits, files, patterns = (value if isinstance(value, int) else 0 for value in values)
    return Numbers(commits, files, patterns)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _oid(value: object) -> str:
    if not _OID.fullmatch(_text(value)):
        raise ValueError(value)
    return str(value)


def _tag(value: object, edge: str) -> TagName:
    tag = parse_tag(_text(value))
    if tag is None or tag.edge != edge:
        raise ValueError(value)
    return tag
