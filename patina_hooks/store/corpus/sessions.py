"""Queries on sessions and the commits that belong to them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from patina_hooks.specs.values import Session

SESSION_OF_COMMIT: Final = """coalesce(
 (SELECT max(sc.session) FROM session_commit sc WHERE sc.commit_id = c.id),
 (SELECT max(t.id) FROM session t
  WHERE NOT t.ranged AND t.started <= c.committed AND c.committed <= t.ended
   AND t.started >= c.committed - (SELECT max(l.ended - l.started) FROM session l WHERE NOT l.ranged)))"""
"""SQL for the innermost session of the row `c` of `commits`: by ancestry, else by time.

The last condition, that a session started no longer ago than the longest one lasted, leaves few to test.
"""


class SessionDocument(NamedTuple):
    """The first document of a session. fields: those that its extractor found."""

    path: str
    work_tree: str
    title: str
    fields: Mapping[str, str]


def read_session(connection: sqlite3.Connection, session: str) -> Session | None:
    """Return a session as it was last derived."""
    row = connection.execute(
        'SELECT id, title, adapter, started, ended, start, "end", path, state FROM session WHERE id = ?',
        (session,),
    ).fetchone()
    return Session(*row) if row else None


def read_session_ids(connection: sqlite3.Connection) -> set[str]:
    """Return the ids of all sessions."""
    return {row[0] for row in connection.execute("SELECT id FROM session")}


def read_session_document(connection: sqlite3.Connection, session: str) -> SessionDocument | None:
    """Return the first document of a session, those that refs hold before drafts; None without one."""
    row = connection.execute(
        "SELECT d.path, d.work_tree, d.title, s.fields FROM document d"
        " LEFT JOIN source s ON s.oid = d.oid AND s.read_as = d.read_as AND s.fields != '{}'"
        " WHERE d.session = ? ORDER BY d.work_tree, d.path, d.oid, s.extractor LIMIT 1",
        (session,),
    ).fetchone()
    return SessionDocument(row[0], row[1], row[2], json.loads(row[3] or "{}")) if row else None


def store_session(connection: sqlite3.Connection, session: Session) -> None:
    """Store a session without its commits."""
    ranged = session.start is not None and session.end is not None
    connection.execute(
        "INSERT INTO session VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            session.id, session.title, session.adapter, session.started, session.ended, session.start,
            session.end, session.path, session.state, ranged,
        ),
    )  # fmt: skip


def delete_session(connection: sqlite3.Connection, session: str) -> None:
    """Delete a session and its links to commits."""
    connection.execute("DELETE FROM session WHERE id = ?", (session,))
    connection.execute("DELETE FROM session_commit WHERE session = ?", (session,))


def delete_sessions(connection: sqlite3.Connection) -> None:
    """Delete every session."""
    connection.execute("DELETE FROM session")
    connection.execute("DELETE FROM session_commit")


def link_commits(connection: sqlite3.Connection, session: str, oids: Iterable[str]) -> None:
    """Store which commits are in the tag range of a session."""
    connection.executemany(
        "INSERT OR IGNORE INTO session_commit SELECT ?, id FROM commits WHERE oid = ?",
        [(session, oid) for oid in oids],
    )


def read_commits_of_session(connection: sqlite3.Connection, session: str) -> list[str]:
    """Return the commits in a session's tag range, oldest first."""
    rows = connection.execute(
        "SELECT c.oid FROM session_commit sc JOIN commits c ON c.id = sc.commit_id"
        " WHERE sc.session = ? ORDER BY c.committed, c.oid",
        (session,),
    )
    return [row[0] for row in rows]
