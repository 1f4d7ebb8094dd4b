"""Queries on the texts of live observations, each text once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable


def sample_observation_texts(connection: sqlite3.Connection, limit: int) -> list[str]:
    """Return the texts of live observations with the smallest keys, which are hashes."""
    rows = connection.execute(
        "SELECT text FROM observation INDEXED BY observation_by_key WHERE live ORDER BY key LIMIT ?", (limit,)
    )
    return [str(text) for (text,) in rows]


def sample_texts(connection: sqlite3.Connection, limit: int) -> list[str]:
    """Return the live texts with the smallest keys, which are hashes."""
    keys = connection.execute("SELECT key FROM text WHERE live > 0 ORDER BY key LIMIT ?", (limit,)).fetchall()
    query = "SELECT text FROM observation WHERE text_key = ? AND live LIMIT 1"
    return [str(connection.execute(query, key).fetchone()[0]) for key in keys]


def count_live_texts(connection: sqlite3.Connection, keys: Iterable[bytes]) -> int:
    """Return how many of these texts, by key, have a live observation."""
    query = "SELECT 1 FROM text WHERE key = ? AND live > 0"
    return sum(connection.execute(query, (key,)).fetchone() is not None for key in keys)


def count_sessions_with_text(connection: sqlite3.Connection) -> int:
    """Return how many sessions have a document, held by a ref, with a live observation."""
    row = connection.execute(
        "SELECT count(DISTINCT d.session) FROM document d"
        " JOIN source s ON s.oid = d.oid AND s.read_as = d.read_as"
        " JOIN observation o ON o.source_id = s.id AND o.live WHERE d.path != '' AND d.work_tree = ''"
    ).fetchone()
    return int(row[0])
