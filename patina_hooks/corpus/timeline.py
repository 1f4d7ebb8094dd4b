"""Sessions, derived from their tags and documents, and the commits that belong to them.

A commit belongs to a session by ancestry, `start..end` of the tags. Only a session without a usable pair of
tags claims commits by time, and only those that no session has by ancestry; that is decided when commits are
read (`patina_hooks.store.corpus.sessions.SESSION_OF_COMMIT`), since it depends on all sessions at once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone

from patina_hooks.git.repository import Repository
from patina_hooks.specs.values import Session
from patina_hooks.store.corpus.commits import read_commit_time
from patina_hooks.store.corpus.live_refs import read_tags_of_session
from patina_hooks.store.corpus.sessions import (
    delete_session,
    link_commits,
    read_session,
    read_session_document,
    store_session,
)

_HOURS = 24 * 60


def derive_session(
    connection: sqlite3.Connection, repository: Repository, session_id: str
) -> tuple[Session | None, Session | None]:
    """Derive one session from its tags and documents; return (before, after), None if absent."""
    before = read_session(connection, session_id)
    after = _read(connection, session_id)
    if after == before:
        return before, after
    delete_session(connection, session_id)
    if after is not None:
        store_session(connection, after)
        if after.start and after.end and after.start != after.end:
            link_commits(connection, session_id, repository.reachable([after.end], [after.start]))
    return before, after


def _read(connection: sqlite3.Connection, session_id: str) -> Session | None:
    tags = read_tags_of_session(connection, session_id)
    document = read_session_document(connection, session_id)
    if not tags and document is None:
        return None
    stated: Mapping[str, str] = document.fields if document else {}
    start, started, adapter = tags.get("start", (None, None, None))
    end, ended, end_adapter = tags.get("end", (None, None, None))
    started = started or _parse_time(stated.get("started", "")) or read_commit_time(connection, start)
    archived = document is not None and document.work_tree == ""
    return Session(
        id=session_id,
        title=document.title if document else "",
        adapter=adapter or end_adapter or stated.get("adapter"),
        started=started,
        ended=ended or read_commit_time(connection, end) or _last_activity(session_id, started, stated),
        start=start,
        end=end,
        path=document.path if document else None,
        state="ended" if end or archived else "open",
    )


def _parse_time(stated: str) -> int | None:
    try:
        moment = datetime.fromisoformat(stated.strip().replace("Z", "+00:00"))
    except ValueError:
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp())


def _last_activity(session_id: str, started: int | None, stated: Mapping[str, str]) -> int | None:
    """Return the time of a document's last activity heading (HH:MM, local time), counted from its start.

    The id states the local time of the start, so that no time zone is needed. At most a day later.
    """
    try:
        last = datetime.strptime(stated.get("last_activity", ""), "%H:%M")
        first = datetime.strptime(session_id[9:13], "%H%M")
    except ValueError:
        return None
    minutes = (last.hour * 60 + last.minute - first.hour * 60 - first.minute) % _HOURS
    return None if started is None else started + int(timedelta(minutes=minutes + 1).total_seconds())
