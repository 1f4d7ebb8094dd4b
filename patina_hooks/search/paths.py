"""Paths as the log writes them: one name may be written with composed or with decomposed letters."""

from __future__ import annotations

import sqlite3
import unicodedata


def recorded_path(connection: sqlite3.Connection, path: str) -> str:
    """Return the Unicode form of a file's or folder's path that some commit touched, else the path as given.

    A shell on macOS completes names with decomposed letters, and git stores them composed.
    """
    if path.isascii():
        return path
    query = "SELECT 1 FROM path WHERE path = ? OR (path >= ? AND path < ?) LIMIT 1"  # "0" follows "/"
    for form in (path, unicodedata.normalize("NFC", path), unicodedata.normalize("NFD", path)):
        if connection.execute(query, (form, f"{form}/", f"{form}0")).fetchone():
            return form
    return path
