"""Queries on recorded commits."""

from __future__ import annotations

import sqlite3


def has_commit(connection: sqlite3.Connection, oid: str) -> bool:
    """Return whether a commit is recorded."""
    return connection.execute("SELECT 1 FROM commits WHERE oid = ?", (oid,)).fetchone() is not None
