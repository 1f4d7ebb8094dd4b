"""Sessions, derived from their tags and documents, and the commits that belong to them.

A commit belongs to a session by ancestry, `start..end` of the tags. Only a session without a usable pair of
tags claims commits by time, and only such as no session holds by ancestry; that is asked when it is read
(`patina_hooks.store.corpus.sessions.SESSION_OF_COMMIT`), since it depends on all sessions at once.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone

from patina_hooks.git.repository import Repository
from patina_hooks.specs.values import Session

_HOURS = 24 * 60


def derive_session(
    connection: sqlite3.Connection, repository: Repository, session_id: str
) -> tuple[Session | None, Session | None]:
    """Write what tags and documents now say of one session; gives (before, after), None where absent."""
    before = load_session(connection, session_id)
    after = _read(connection, session_id)
    if after == before:
        return before, after
    connection.execute("DELETE FROM session WHERE id = ?", (session_id,))
    connection.execute("DELETE FROM session_commit WHERE session = ?", (session_id,))
    if after is not None:
        ranged = after.start is not None and after.end is not None
        connection.execute(
            "INSERT INTO session VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (after.id, after.title, after.adapter, after.started, after.ended, after.start, after.end,
             after.path, after.state, ranged),
        )  # fmt: skip
        if after.start and after.end and after.start != after.end:
            _link(connection, session_id, repository.reachable([after.end], [after.start]))
    return before, after


def load_session(connection: sqlite3.Connection, session_id: str) -> Session | None:
    """One session as it was last derived."""
    row = connection.execute(
        'SELECT id, title, adapter, started, ended, start, "end", path, state FROM session WHERE id = ?',
        (session_id,),
    ).fetchone()
    return Session(*row) if row else None


def commits_of(connection: sqlite3.Connection, session_id: str) -> list[str]:
    """The commits in a session's tag range, oldest first."""
    rows = connection.execute(
        "SELECT c.oid FROM session_commit sc JOIN commits c ON c.id = sc.commit_id"
        " WHERE sc.session = ? ORDER BY c.committed, c.oid",
        (session_id,),
    )
    return [row[0] for row in rows]


def _read(connection: sqlite3.Connection, session_id: str) -> Session | None:
    tags = {
        side: (target, dated, adapter)
        for side, target, dated, adapter in connection.execute(
            "SELECT side, target, dated, adapter FROM tip WHERE session = ? ORDER BY name DESC", (session_id,)
        )
    }
    documents = connection.execute(
        "SELECT d.path, d.work_tree, d.title, s.fields FROM document d"
        " LEFT JOIN source s ON s.oid = d.oid AND s.fields != '{}'"
        " WHERE d.session = ? ORDER BY d.work_tree, d.path, d.oid, s.extractor LIMIT 1",
        (session_id,),
    ).fetchone()
    if not tags and documents is None:
        return None
    path, work_tree, title, fields = documents or (None, "", "", None)
    stated: Mapping[str, str] = json.loads(fields) if fields else {}
    start, started, adapter = tags.get("start", (None, None, None))
    end, ended, other = tags.get("end", (None, None, None))
    begun = started or _moment(stated.get("started", "")) or _committed(connection, start)
    archived = path is not None and work_tree == ""
    return Session(
        id=session_id,
        title=title,
        adapter=adapter or other or stated.get("adapter"),
        started=begun,
        ended=ended or _committed(connection, end) or _last_activity(session_id, begun, stated),
        start=start,
        end=end,
        path=path,
        state="ended" if end or archived else "open",
    )


def _link(connection: sqlite3.Connection, session_id: str, oids: Iterable[str]) -> None:
    connection.executemany(
        "INSERT OR IGNORE INTO session_commit SELECT ?, id FROM commits WHERE oid = ?",
        [(session_id, oid) for oid in oids],
    )


def _committed(connection: sqlite3.Connection, oid: str | None) -> int | None:
    row = connection.execute("SELECT committed FROM commits WHERE oid = ?", (oid,)).fetchone()
    return int(row[0]) if row else None


def _moment(stated: str) -> int | None:
    try:
        moment = datetime.fromisoformat(stated.strip().replace("Z", "+00:00"))
    except ValueError:
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp())


def _last_activity(session_id: str, started: int | None, stated: Mapping[str, str]) -> int | None:
    """When a document's last activity heading (HH:MM, local time) was, counted from its start.

    The id tells the local time of the start, so that no time zone is needed. At most a day later.
    """
    try:
        last = datetime.strptime(stated.get("last_activity", ""), "%H:%M")
        first = datetime.strptime(session_id[9:13], "%H%M")
    except ValueError:
        return None
    minutes = (last.hour * 60 + last.minute - first.hour * 60 - first.minute) % _HOURS
    return None if started is None else started + int(timedelta(minutes=minutes + 1).total_seconds())
