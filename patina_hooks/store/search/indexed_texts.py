"""Queries on texts: those that the vector index in use has, and those that wait for a vector."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class TextState(NamedTuple):
    """The state of a text. live: number of its live observations; indexed: 1 if the index in use has it."""

    live: int
    indexed: int


def read_live_text(connection: sqlite3.Connection, key: bytes) -> str | None:
    """Return the text of a live observation by its key, None if there is none."""
    query = "SELECT text FROM observation WHERE text_key = ? AND live LIMIT 1"
    row = connection.execute(query, (key,)).fetchone()
    return str(row[0]) if row else None


def read_live_texts(connection: sqlite3.Connection, keys: Sequence[bytes]) -> list[str]:
    """Return texts by their keys.

    Raises:
        KeyError: no live observation has a text.
    """
    texts = []
    for key in keys:
        text = read_live_text(connection, key)
        if text is None:
            raise KeyError(key)
        texts.append(text)
    return texts


def read_text_states(connection: sqlite3.Connection) -> dict[bytes, TextState]:
    """Return the state of every text by its key."""
    rows = connection.execute("SELECT key, live, indexed FROM text")
    return {key: TextState(live, indexed) for key, live, indexed in rows}


def read_live_keys(connection: sqlite3.Connection) -> list[bytes]:
    """Return the keys of live texts, the newest first."""
    rows = connection.execute("SELECT key FROM text WHERE live > 0 ORDER BY dated DESC, key")
    return [key for (key,) in rows]


def read_waiting_keys(connection: sqlite3.Connection, limit: int) -> list[bytes]:
    """Return the keys of live texts that the index does not hold, the newest first."""
    rows = connection.execute(
        "SELECT key FROM text WHERE live > 0 AND indexed = 0 ORDER BY dated DESC, key LIMIT ?", (limit,)
    )
    return [key for (key,) in rows]


def read_dead_keys(connection: sqlite3.Connection) -> list[bytes]:
    """Return the keys of texts without a live observation."""
    return [key for (key,) in connection.execute("SELECT key FROM text WHERE live = 0")]


def count_live(connection: sqlite3.Connection) -> int:
    """Return the number of live texts."""
    return int(connection.execute("SELECT count(*) FROM text WHERE live > 0").fetchone()[0])


def has_changed_texts(connection: sqlite3.Connection) -> bool:
    """Return whether a live text waits for its vector, or a removed text is still indexed."""
    waiting = "SELECT 1 FROM text WHERE live > 0 AND indexed = 0"
    row = connection.execute(f"{waiting} UNION ALL SELECT 1 FROM text WHERE live = 0 LIMIT 1").fetchone()
    return row is not None


def count_waiting(connection: sqlite3.Connection) -> int:
    """Return the number of live texts that the index does not have."""
    query = "SELECT count(*) FROM text WHERE live > 0 AND indexed = 0"
    return int(connection.execute(query).fetchone()[0])


def set_indexed(connection: sqlite3.Connection, states: Iterable[tuple[int, bytes]]) -> None:
    """Store (indexed, key) of texts."""
    connection.executemany("UPDATE text SET indexed = ? WHERE key = ?", states)


def set_live_indexed(connection: sqlite3.Connection) -> None:
    """Store that the index has all live texts and no other."""
    connection.execute("UPDATE text SET indexed = (live > 0)")


def delete_dead_texts(connection: sqlite3.Connection, keys: Iterable[bytes]) -> None:
    """Delete those of these texts that have no live observation."""
    connection.executemany("DELETE FROM text WHERE key = ? AND live = 0", [(key,) for key in keys])
