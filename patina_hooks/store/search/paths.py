"""Queries on recorded paths: which there are, and what changed together."""

from __future__ import annotations

import sqlite3
from typing import Final

from patina_hooks.store.corpus.sessions import SESSION_OF_COMMIT

_UNDER: Final = "path = ? OR (path >= ? AND path < ?)"
_TOUCHED: Final = "EXISTS (SELECT 1 FROM change h WHERE h.path_id = path.id)"


def has_path(connection: sqlite3.Connection, path: str) -> bool:
    """Return whether a path, or one under it, was ever recorded."""
    statement = f"SELECT 1 FROM path WHERE {_UNDER} LIMIT 1"
    return connection.execute(statement, _under(path)).fetchone() is not None


def is_touched(connection: sqlite3.Connection, path: str) -> bool:
    """Return whether a commit touched a path, or one under it."""
    statement = f"SELECT 1 FROM path WHERE ({_UNDER}) AND {_TOUCHED} LIMIT 1"
    return connection.execute(statement, _under(path)).fetchone() is not None


def paths_in(connection: sqlite3.Connection, folder: str, most: int) -> list[str]:
    """Return touched paths in a folder."""
    return _touched(connection, "path >= ? AND path < ?", (f"{folder}/", f"{folder}0"), most)


def paths_named(connection: sqlite3.Connection, name: str, most: int) -> list[str]:
    """Return touched paths of a file's name, in whatever case."""
    condition = "lower(path) = lower(?) OR lower(substr(path, -length(?))) = lower(?)"
    return _touched(connection, condition, (name, f"/{name}", f"/{name}"), most)


def paths_of_length(connection: sqlite3.Connection, least: int, greatest: int, most: int) -> list[str]:
    """Return touched paths of about so many characters."""
    return _touched(connection, "length(path) BETWEEN ? AND ?", (least, greatest), most)


def commits_of_path(connection: sqlite3.Connection, path: str, most: int) -> list[tuple[int, int]]:
    """Return (commit, how many paths it touched) of the latest commits that touched a path."""
    return connection.execute(
        "SELECT c.id, (SELECT count(*) FROM change n WHERE n.commit_id = c.id) FROM path p"
        " JOIN change h ON h.path_id = p.id JOIN commits c ON c.id = h.commit_id"
        " WHERE p.path = ? ORDER BY c.committed DESC, c.oid LIMIT ?",
        (path, most),
    ).fetchall()


def count_commits_of_path(connection: sqlite3.Connection, path: str) -> int:
    """Return how many commits touched a path."""
    statement = "SELECT count(*) FROM path p JOIN change h ON h.path_id = p.id WHERE p.path = ?"
    return int(connection.execute(statement, (path,)).fetchone()[0])


def paths_of_commit(connection: sqlite3.Connection, commit: int) -> list[str]:
    """Return the paths that a commit touched."""
    rows = connection.execute(
        "SELECT p.path FROM change h JOIN path p ON p.id = h.path_id WHERE h.commit_id = ?", (commit,)
    )
    return [row[0] for row in rows]


def visits_of_path(connection: sqlite3.Connection, path: str) -> list[tuple[str, str, int]]:
    """Return (id, title, commits that touched the path) of sessions that did, the latest first."""
    return connection.execute(
        f"SELECT v.session, s.title, count(*) FROM (SELECT {SESSION_OF_COMMIT} AS session FROM path p"
        " JOIN change h ON h.path_id = p.id JOIN commits c ON c.id = h.commit_id WHERE p.path = ?) v"
        " JOIN session s ON s.id = v.session GROUP BY v.session ORDER BY v.session DESC",
        (path,),
    ).fetchall()


def _touched(
    connection: sqlite3.Connection, condition: str, values: tuple[object, ...], most: int
) -> list[str]:
    rows = connection.execute(
        f"SELECT path FROM path WHERE ({condition}) AND {_TOUCHED} ORDER BY path LIMIT ?", (*values, most)
    )
    return [row[0] for row in rows]


def _under(path: str) -> tuple[str, str, str]:
    return path, f"{path}/", f"{path}0"  # "0" follows "/"
