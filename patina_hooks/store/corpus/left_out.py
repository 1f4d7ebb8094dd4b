"""Queries on files of trees that are left out: what a source names, and why it is no document."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple


class LeftOut(NamedTuple):
    """A file that is left out.

    kind, read_as: of the document that it would be where only room is missing, else "".
    """

    path: str
    oid: str
    reason: str
    kind: str = ""
    read_as: str = ""


def store_left_out(connection: sqlite3.Connection, files: Iterable[LeftOut]) -> None:
    """Store files that are left out, in the place of what was stored of them."""
    connection.executemany("INSERT OR REPLACE INTO left_out VALUES (?, ?, ?, ?, ?)", files)


def delete_left_out(connection: sqlite3.Connection, files: Iterable[tuple[str, str]]) -> None:
    """Forget files, by path and object."""
    connection.executemany("DELETE FROM left_out WHERE path = ? AND oid = ?", files)


def delete_all_left_out(connection: sqlite3.Connection) -> None:
    """Forget all files that are left out."""
    connection.execute("DELETE FROM left_out")


def read_left_out(connection: sqlite3.Connection) -> set[tuple[str, str]]:
    """Return the path and the object of each file that is left out."""
    return set(connection.execute("SELECT path, oid FROM left_out"))


def read_crowded_out(connection: sqlite3.Connection, kind: str) -> list[LeftOut]:
    """Return the files that would be documents of a kind if there were room."""
    rows = connection.execute("SELECT * FROM left_out WHERE kind = ? AND kind != ''", (kind,))
    return [LeftOut(*row) for row in rows]


def has_crowded_out(connection: sqlite3.Connection, kind: str) -> bool:
    """Return whether a document of a kind is left out for want of room."""
    statement = "SELECT 1 FROM left_out WHERE kind = ? AND kind != '' LIMIT 1"
    return connection.execute(statement, (kind,)).fetchone() is not None
