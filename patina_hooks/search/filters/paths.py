"""Paths as the log writes them: their Unicode forms, and recorded ones like a path that is unknown."""

from __future__ import annotations

import difflib
import sqlite3
import unicodedata
from typing import Final

_COMPARED: Final = 5_000
"""Recorded paths of about the same length that are compared with an unknown one."""
_LONGEST: Final = 300
"""Characters of a path beyond which it is compared with none."""
_LENGTHS: Final = 6
_NAMESAKES: Final = 200
"""Recorded paths in a folder or of one name that are compared at most."""
_UNDER: Final = "path = ? OR (path >= ? AND path < ?)"  # "0" follows "/"
_TOUCHED: Final = "EXISTS (SELECT 1 FROM change h WHERE h.path_id = path.id)"


def recorded_path(connection: sqlite3.Connection, path: str) -> str:
    """Return the Unicode form of a file's or folder's path that some commit touched, else the path as given.

    A shell on macOS completes names with decomposed letters, and git stores them composed.
    """
    if path.isascii():
        return path
    query = f"SELECT 1 FROM path WHERE {_UNDER} LIMIT 1"
    for form in (path, unicodedata.normalize("NFC", path), unicodedata.normalize("NFD", path)):
        if connection.execute(query, (form, f"{form}/", f"{form}0")).fetchone():
            return form
    return path


def is_recorded(connection: sqlite3.Connection, path: str) -> bool:
    """Tell whether a commit touched a file, or anything in a folder."""
    path = path.rstrip("/")
    query = f"SELECT 1 FROM path WHERE ({_UNDER}) AND {_TOUCHED} LIMIT 1"
    return not path or connection.execute(query, (path, f"{path}/", f"{path}0")).fetchone() is not None


def near_paths(connection: sqlite3.Connection, path: str, limit: int = 3) -> list[str]:
    """Return recorded files like an unknown path, most similar first.

    Files of a folder that has this path come first, then files of the same name, then similar paths.
    """
    path = path.rstrip("/")
    if not path or len(path) > _LONGEST:
        return []
    name = path.rpartition("/")[2]
    inside = "path >= ? AND path < ?"
    same_name = "lower(path) = lower(?) OR lower(substr(path, -length(?))) = lower(?)"
    similar = "length(path) BETWEEN ? AND ?"
    for condition, values, cutoff, most in (
        (inside, (f"{path}/", f"{path}0"), 0.0, _NAMESAKES),
        (same_name, (name, f"/{name}", f"/{name}"), 0.0, _NAMESAKES),
        (similar, (len(path) - _LENGTHS, len(path) + _LENGTHS), 0.75, _COMPARED),
    ):
        rows = connection.execute(
            f"SELECT path FROM path WHERE ({condition}) AND {_TOUCHED} ORDER BY path LIMIT ?",
            (*values, most),
        )
        if near := difflib.get_close_matches(path, [row[0] for row in rows], limit, cutoff):
            return near
    return []
