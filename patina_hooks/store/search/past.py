"""Queries on the history that evaluation and training learn from: all of it, without drafts."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import NamedTuple

from patina_hooks.store.corpus.sessions import SESSION_OF_COMMIT


class DocumentObservation(NamedTuple):
    """An observation of a session's document, with the title of the document and the start of the session."""

    session: str
    title: str
    started: int | None
    number: int
    kind: str
    text: str
    key: bytes


class RecordedCommit(NamedTuple):
    """A commit. session: the innermost session that it belongs to."""

    number: int
    oid: str
    author: str
    authored: int
    committed: int
    merge: int
    session: str | None


def documents_folder(connection: sqlite3.Connection) -> str:
    """Return the folder where session documents are archived, "" before the first sync."""
    row = connection.execute("SELECT value FROM fact WHERE name = 'folder'").fetchone()
    return str(row[0]) if row else ""


def document_observations(connection: sqlite3.Connection) -> Iterator[DocumentObservation]:
    """Return the observations of session documents on refs, by session and in the order of lines."""
    rows = connection.execute(
        "SELECT DISTINCT d.session, d.title, s.started, o.id, o.kind, o.text, o.text_key FROM document d"
        " JOIN source r ON r.oid = d.oid AND r.read_as = d.read_as"
        " JOIN observation o ON o.source_id = r.id AND o.live"
        " LEFT JOIN session s ON s.id = d.session"
        " WHERE d.path != '' AND d.work_tree = '' AND d.session IS NOT NULL"
        " ORDER BY d.session, o.line, o.key, o.id"
    )
    return map(DocumentObservation._make, rows)


def message_observations(connection: sqlite3.Connection) -> Iterator[tuple[int, str, str, bytes]]:
    """Return (commit, kind, text, text key) of observations of messages, by commit and line."""
    rows = connection.execute(
        "SELECT DISTINCT c.id, o.kind, o.text, o.text_key, o.line, o.key, o.id FROM commits c"
        " JOIN source r ON r.oid = c.oid JOIN observation o ON o.source_id = r.id AND o.live"
        " ORDER BY c.id, o.line, o.key, o.id"
    )
    return ((row[0], row[1], row[2], row[3]) for row in rows)


def changes(connection: sqlite3.Connection) -> Iterator[tuple[int, str, str]]:
    """Return (commit, path, status) of every change."""
    return connection.execute(
        "SELECT h.commit_id, p.path, h.status FROM change h JOIN path p ON p.id = h.path_id ORDER BY 1, 2"
    )


def session_ranges(connection: sqlite3.Connection) -> Iterator[tuple[int, str]]:
    """Return (commit, session) of each commit in a session's tag range."""
    return connection.execute("SELECT commit_id, session FROM session_commit ORDER BY 1, 2")


def read_recorded_commits(connection: sqlite3.Connection) -> Iterator[RecordedCommit]:
    """Return every commit, oldest first."""
    rows = connection.execute(
        f"SELECT c.id, c.oid, c.author, c.authored, c.committed, c.merge, {SESSION_OF_COMMIT} FROM commits c"
        " ORDER BY c.committed, c.oid"
    )
    return map(RecordedCommit._make, rows)


# --- questions of the user's own ----------------------------------------------------------------


def session_sizes(connection: sqlite3.Connection) -> list[tuple[str, str | None, int]]:
    """Return (id, path of its document, commits in its tag range) of each session, the latest first."""
    return connection.execute(
        "SELECT id, path, (SELECT count(*) FROM session_commit WHERE session = id) FROM session"
        " ORDER BY id DESC"
    ).fetchall()


def is_answer(connection: sqlite3.Connection, name: str) -> bool:
    """Return whether a name is a session's id, a commit's, or the path of a document."""
    statements = (
        "SELECT 1 FROM session WHERE id = ?",
        "SELECT 1 FROM commits WHERE oid = ?",
        "SELECT 1 FROM document WHERE path = ?",
    )
    return any(connection.execute(statement, (name,)).fetchone() for statement in statements)


def small_commits_of_path(connection: sqlite3.Connection, path: str, most: int) -> list[str]:
    """Return the ids of commits of at most so many paths that touched this one."""
    rows = connection.execute(
        "SELECT c.oid FROM path p JOIN change h ON h.path_id = p.id JOIN commits c ON c.id = h.commit_id"
        " WHERE p.path = ? AND (SELECT count(*) FROM change n WHERE n.commit_id = c.id) <= ?",
        (path, most),
    )
    return [row[0] for row in rows]
