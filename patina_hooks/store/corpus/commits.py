"""Queries on commits and the paths that they changed."""

from __future__ import annotations

import sqlite3

from patina_hooks.specs.values import Commit
from patina_hooks.store.corpus.chains import delete_edges, pack_parents
from patina_hooks.store.log import escape_name


def read_oids(connection: sqlite3.Connection) -> set[str]:
    """Return every recorded commit."""
    return {row[0] for row in connection.execute("SELECT oid FROM commits")}


def read_truncated(connection: sqlite3.Connection) -> set[str]:
    """Return the commits whose paths are not known in full."""
    return {row[0] for row in connection.execute("SELECT oid FROM commits WHERE truncated")}


def has_commit(connection: sqlite3.Connection, oid: str) -> bool:
    """Return whether a commit is recorded."""
    return connection.execute("SELECT 1 FROM commits WHERE oid = ?", (oid,)).fetchone() is not None


def is_truncated(connection: sqlite3.Connection, oid: str) -> bool:
    """Return whether the paths of a recorded commit are not known in full."""
    statement = "SELECT 1 FROM commits WHERE oid = ? AND truncated"
    return connection.execute(statement, (oid,)).fetchone() is not None


def read_commit_time(connection: sqlite3.Connection, oid: str | None) -> int | None:
    """Return when a commit was made, None if it is not recorded."""
    row = connection.execute("SELECT committed FROM commits WHERE oid = ?", (oid,)).fetchone()
    return int(row[0]) if row else None


def read_change_time(connection: sqlite3.Connection, path: str) -> int | None:
    """Return the time of the newest commit that changed a path, None if none did."""
    row = connection.execute(
        "SELECT max(c.committed) FROM path p JOIN change h ON h.path_id = p.id"
        " JOIN commits c ON c.id = h.commit_id WHERE p.path = ?",
        (path,),
    ).fetchone()
    return row[0] if row else None


def store_commit(connection: sqlite3.Connection, commit: Commit) -> int:
    """Add a commit without its paths; return its row. The parents of a recorded one stay."""
    connection.execute(
        "INSERT INTO commits (oid, author, authored, committed, merge, truncated, parents)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (oid)"
        " DO UPDATE SET merge = excluded.merge, truncated = excluded.truncated",
        (
            commit.oid, commit.author, commit.authored, commit.committed, commit.is_merge, commit.truncated,
            pack_parents(commit),
        ),
    )  # fmt: skip
    (row,) = connection.execute("SELECT id FROM commits WHERE oid = ?", (commit.oid,)).fetchone()
    return int(row)


def read_commit_row(connection: sqlite3.Connection, oid: str) -> int | None:
    """Return the row of a commit, None if it is not recorded."""
    row = connection.execute("SELECT id FROM commits WHERE oid = ?", (oid,)).fetchone()
    return int(row[0]) if row else None


def add_changes(connection: sqlite3.Connection, row: int, commit: Commit) -> None:
    """Store the paths that a commit changed."""
    paths = [escape_name(change.path) for change in commit.changes]
    connection.executemany(
        "INSERT OR IGNORE INTO path (path, folder) VALUES (?, ?)",
        [(path, path.rpartition("/")[0]) for path in paths],
    )
    connection.executemany(
        "INSERT OR REPLACE INTO change SELECT ?, id, ? FROM path WHERE path = ?",
        [(row, c.status, path) for c, path in zip(commit.changes, paths, strict=True)],
    )
    connection.execute(
        "UPDATE path SET born = ? WHERE id IN (SELECT path_id FROM change WHERE commit_id = ?)"
        " AND (born IS NULL OR born > ?)",
        (commit.committed, row, commit.committed),
    )


def delete_changes(connection: sqlite3.Connection, row: int) -> None:
    """Delete the changes of a commit; the first change of some paths is later then."""
    paths = connection.execute(
        "SELECT p.id FROM change h JOIN commits c ON c.id = h.commit_id JOIN path p ON p.id = h.path_id"
        " WHERE h.commit_id = ? AND p.born >= c.committed",
        (row,),
    ).fetchall()
    connection.execute("DELETE FROM change WHERE commit_id = ?", (row,))
    connection.executemany(
        "UPDATE path SET born = (SELECT min(c.committed) FROM change h"
        " JOIN commits c ON c.id = h.commit_id WHERE h.path_id = path.id) WHERE id = ?",
        paths,
    )


def delete_commit(connection: sqlite3.Connection, row: int) -> None:
    """Delete a commit whose changes are deleted."""
    connection.execute("DELETE FROM session_commit WHERE commit_id = ?", (row,))
    delete_edges(connection, row)
    connection.execute("DELETE FROM commits WHERE id = ?", (row,))
