"""Queries on cached data that no branch or tag references."""

from __future__ import annotations

import sqlite3


def delete_unreferenced(connection: sqlite3.Connection) -> int:
    """Delete results of objects that no document has; return the number of observations."""
    observations = connection.execute(
        "DELETE FROM observation WHERE NOT live AND source_id IN"
        " (SELECT s.id FROM source s WHERE NOT EXISTS (SELECT 1 FROM document d WHERE d.oid = s.oid"
        " AND d.read_as = s.read_as))"
    ).rowcount
    connection.execute(
        "DELETE FROM source WHERE NOT EXISTS (SELECT 1 FROM document d WHERE d.oid = source.oid"
        " AND d.read_as = source.read_as)"
    )
    connection.execute("DELETE FROM path WHERE id NOT IN (SELECT path_id FROM change)")
    return observations


def release_dead_texts(connection: sqlite3.Connection) -> list[bytes]:
    """Return the keys of live texts, and mark all other texts as not indexed.

    An index may have vectors of removed texts, whose embeddings are deleted now: a text that returns is
    embedded again.
    """
    connection.execute("UPDATE text SET indexed = 0 WHERE live = 0")
    return [key for (key,) in connection.execute("SELECT key FROM text WHERE live > 0")]


def count_observations_by_extractor(connection: sqlite3.Connection) -> list[tuple[str, int]]:
    """Return (extractor tag, number of observations); reads all sources."""
    return connection.execute(
        "SELECT s.extractor, count(o.id) FROM source s LEFT JOIN observation o ON o.source_id = s.id"
        " GROUP BY s.extractor"
    ).fetchall()
