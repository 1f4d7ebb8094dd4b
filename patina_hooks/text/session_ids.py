"""Session ids, and the names of a session's two tags.

A session's tags are `session-<id>-start` and `-end`. If the user names an adapter on the command line, they
include it: `session-<id>-<adapter>-start`, as in the later history of the ancestor project. An adapter from
the settings is recorded only in the document, so that the plain name, which every reader knows, stays the
usual one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

TagEdge = Literal["start", "end"]

HIDDEN_REFS = "refs/patina/sessions"
SESSIONS_FOLDER = "patina-sessions"
"""The folder of session records in the common dir (`patina_hooks.sessions.documents.store`)."""
ID_FORMAT = "%Y%m%d-%H%M%S"
_ID = re.compile(r"\d{8}-\d{6}", re.ASCII)
_TAG = re.compile(r"session-(\d{8}-\d{6})(?:-([a-z0-9_-]+?))?-(start|end)", re.ASCII)


@dataclass(frozen=True, slots=True)
class TagName:
    """The parts of a session tag's name.

    adapter: None if the name has none.
    """

    id: str
    adapter: str | None
    edge: TagEdge

    def __str__(self) -> str:
        adapter = f"-{self.adapter}" if self.adapter else ""
        return f"session-{self.id}{adapter}-{self.edge}"

    @property
    def ref(self) -> str:
        """The full name, which no branch with the same name can shadow."""
        return f"refs/tags/{self}"

    @property
    def hidden_ref(self) -> str:
        """The ref that keeps the tag's object if a tool deletes the tag."""
        return f"{HIDDEN_REFS}/{self.id}/{self.edge}"

    @property
    def session_edge(self) -> tuple[str, TagEdge]:
        """The session and the edge, without the adapter."""
        return self.id, self.edge

    def with_edge(self, edge: TagEdge) -> TagName:
        """Return the name of the same session's tag at an edge."""
        return TagName(self.id, self.adapter, edge)


def looks_like_id(text: str) -> bool:
    """Whether a text has the form of a session id, whether or not its date exists."""
    return _ID.fullmatch(text) is not None


def split_hidden_ref(name: str) -> TagName | None:
    """Split the full name of a hidden ref, None if it has another form."""
    session, _, edge = name.removeprefix(f"{HIDDEN_REFS}/").partition("/")
    if not is_session_id(session) or edge not in ("start", "end"):
        return None
    return TagName(session, None, "start" if edge == "start" else "end")


def is_session_id(text: str) -> bool:
    """Whether a text is `YYYYMMDD-HHMMSS` with a date that exists."""
    if not _ID.fullmatch(text):
        return False
    try:
        datetime.strptime(text, ID_FORMAT)
    except ValueError:
        return False
    return True


def start_time(session_id: str) -> int:
    """Return when a session began, in seconds since 1970.

    Its id is in local time.
    """
    return int(datetime.strptime(session_id, ID_FORMAT).timestamp())


def split_tag(name: str) -> TagName | None:
    """Split a short tag name, whether or not its date exists.

    None if it has another form.
    """
    match = _TAG.fullmatch(name)
    return TagName(match[1], match[2], "start" if match[3] == "start" else "end") if match else None


def parse_tag(name: str) -> TagName | None:
    """Parse a short tag name, None unless it is a session's and its date exists."""
    tag = split_tag(name)
    return tag if tag and is_session_id(tag.id) else None
