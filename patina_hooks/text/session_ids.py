"""Session ids, and the names of a session's two tags.

A session's tags are `session-<id>-start` and `-end`. Where the user names an adapter on the command line
they carry it, `session-<id>-<adapter>-start`, as the later history of the ancestor project does; an
adapter that merely comes from settings is told by the document alone, so that the plain name, which every
reader knows, stays the usual one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

TagEdge = Literal["start", "end"]

HIDDEN_REFS = "refs/patina/sessions"
SESSIONS_FOLDER = "patina-sessions"
"""In the common dir: what the repository keeps of sessions (`patina_hooks.sessions.documents.store`)."""
ID_FORMAT = "%Y%m%d-%H%M%S"
_ID = re.compile(r"\d{8}-\d{6}", re.ASCII)
_TAG = re.compile(r"session-(\d{8}-\d{6})(?:-([a-z0-9_-]+?))?-(start|end)", re.ASCII)


@dataclass(frozen=True, slots=True)
class TagName:
    """The parts of a session tag's name; adapter is None where the name carries none."""

    id: str
    adapter: str | None
    edge: TagEdge

    def __str__(self) -> str:
        adapter = f"-{self.adapter}" if self.adapter else ""
        return f"session-{self.id}{adapter}-{self.edge}"

    @property
    def ref(self) -> str:
        """The full name, which no branch of the same name can shadow."""
        return f"refs/tags/{self}"

    @property
    def hidden_ref(self) -> str:
        """The ref that keeps the tag's object where tools delete the tag."""
        return f"{HIDDEN_REFS}/{self.id}/{self.edge}"

    @property
    def at_edge(self) -> tuple[str, TagEdge]:
        """The session and the edge, whatever its name says of an adapter."""
        return self.id, self.edge

    def at(self, edge: TagEdge) -> TagName:
        """The tag of the same session at that edge."""
        return TagName(self.id, self.adapter, edge)


def looks_like_id(text: str) -> bool:
    """Whether it has the form of a session id, whether or not its moment exists."""
    return _ID.fullmatch(text) is not None


def split_hidden_ref(name: str) -> TagName | None:
    """The session and edge of a hidden ref's full name, None where it has another form."""
    session, _, edge = name.removeprefix(f"{HIDDEN_REFS}/").partition("/")
    if not is_session_id(session) or edge not in ("start", "end"):
        return None
    return TagName(session, None, "start" if edge == "start" else "end")


def is_session_id(text: str) -> bool:
    """Whether it is `YYYYMMDD-HHMMSS` of a moment that exists."""
    if not _ID.fullmatch(text):
        return False
    try:
        datetime.strptime(text, ID_FORMAT)
    except ValueError:
        return False
    return True


def moment_of(session_id: str) -> int:
    """Return when a session began by its id, in seconds since 1970: the id tells local time."""
    return int(datetime.strptime(session_id, ID_FORMAT).timestamp())


def split_tag(name: str) -> TagName | None:
    """The parts of a short tag name, whether or not its date exists; None where it has another form."""
    found = _TAG.fullmatch(name)
    return TagName(found[1], found[2], "start" if found[3] == "start" else "end") if found else None


def parse_tag(name: str) -> TagName | None:
    """The parts of a short tag name, None where it is no session's or its date does not exist."""
    tag = split_tag(name)
    return tag if tag and is_session_id(tag.id) else None
