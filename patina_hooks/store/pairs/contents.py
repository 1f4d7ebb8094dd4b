"""Queries on the contents of a pair scope: documents, commits, paths and live observations."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import NamedTuple

from patina_hooks.specs.values import Observation
from patina_hooks.store.corpus.observations import OBSERVATION_COLUMNS, build_observation


class LiveObservation(NamedTuple):
    """A row of `observation`. key: 16 bytes."""

    id: int
    key: bytes
    observation: Observation


class StoredPath(NamedTuple):
    """A row of `path`."""

    id: int
    path: str


def read_session_documents(connection: sqlite3.Connection, session: str) -> list[tuple[str, str]]:
    """Return the (oid, path) of a session's documents that refs hold, one for each object."""
    return connection.execute(
        "SELECT oid, min(path) FROM document WHERE session = ? AND work_tree = '' GROUP BY oid ORDER BY 2, 1",
        (session,),
    ).fetchall()


def read_previous_session(connection: sqlite3.Connection, session: str) -> str | None:
    """Return the last session before this one that has a document which a ref holds."""
    row = connection.execute(
        "SELECT session FROM document WHERE session < ? AND work_tree = '' ORDER BY session DESC LIMIT 1",
        (session,),
    ).fetchone()
    return str(row[0]) if row else None


def read_session_commits(connection: sqlite3.Connection, session: str, limit: int) -> list[str]:
    """Return the oids of the first commits in a session's tag range, oldest first."""
    rows = connection.execute(
        "SELECT c.oid FROM session_commit sc JOIN commits c ON c.id = sc.commit_id WHERE sc.session = ?"
        " ORDER BY c.committed, c.oid LIMIT ?",
        (session, limit),
    )
    return [row[0] for row in rows]


def read_commit_paths(connection: sqlite3.Connection, oid: str, limit: int) -> list[StoredPath] | None:
    """Return up to `limit` paths that a commit changed, None for a commit that is not recorded."""
    commit = connection.execute("SELECT id FROM commits WHERE oid = ?", (oid,)).fetchone()
    if commit is None:
        return None
    rows = connection.execute(
        "SELECT p.id, p.path FROM change h JOIN path p ON p.id = h.path_id WHERE h.commit_id = ? LIMIT ?",
        (commit[0], limit),
    )
    return list(map(StoredPath._make, rows))


def read_folder_paths(connection: sqlite3.Connection, folder: str, limit: int) -> list[StoredPath]:
    """Return up to `limit` paths of a folder that recorded commits changed."""
    rows = connection.execute(
        "SELECT p.id, p.path FROM path p WHERE p.folder = ?"
        " AND EXISTS (SELECT 1 FROM change h WHERE h.path_id = p.id) LIMIT ?",
        (folder, limit),
    )
    return list(map(StoredPath._make, rows))


def read_observations_of_object(connection: sqlite3.Connection, oid: str) -> Iterator[LiveObservation]:
    """Yield the live observations of an object, in the order of its lines."""
    rows = connection.execute(
        f"SELECT o.id, o.key, {OBSERVATION_COLUMNS} FROM source s"
        " JOIN observation o ON o.source_id = s.id WHERE s.oid = ? AND o.live ORDER BY o.line, o.key",
        (oid,),
    )
    return (LiveObservation(row[0], row[1], build_observation(*row[2:])) for row in rows)
