"""Name the places of texts that a model refused."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

_PLACES = """
    SELECT DISTINCT d.kind, d.oid, d.path, o.line FROM observation o
    JOIN source s ON s.id = o.source_id JOIN document d ON d.oid = s.oid
    WHERE o.text_key = ? AND o.live ORDER BY d.work_tree, d.path, d.oid, o.line LIMIT 1
"""


def refused_texts(connection: sqlite3.Connection, refused: Mapping[bytes, str]) -> list[tuple[str, str]]:
    """Give (place, reason) of each live text that was refused, by place.

    Args:
        connection: of the log.
        refused: text key -> reason.
    """
    places = []
    for key, reason in refused.items():
        row = connection.execute(_PLACES, (key,)).fetchone()
        if row:
            kind, oid, path, line = row
            places.append((f"commit {oid[:12]}" if kind == "commit" else f"{path}:{line}", reason))
    return sorted(places)
