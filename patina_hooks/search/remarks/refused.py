"""Name the places of texts that a model refused."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from patina_hooks.store.search.answers import read_text_location


def refused_texts(connection: sqlite3.Connection, refused: Mapping[bytes, str]) -> list[tuple[str, str]]:
    """Give (place, reason) of each live text that was refused, by place.

    Args:
        connection: of the log.
        refused: text key -> reason.
    """
    places = []
    for key, reason in refused.items():
        row = read_text_location(connection, key)
        if row:
            oid, path, line = row
            places.append((f"{path}:{line}" if path else f"commit {oid[:12]}", reason))
    return sorted(places)
