"""A check that the SQLite of this Python has FTS5, which indexes words."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Final

NO_WORD_INDEX: Final = "no such module: fts5"
OTHER_PYTHON: Final = (
    "install patina-hooks with a Python whose SQLite has FTS5: uv tool install --managed-python patina-hooks"
)


def has_word_index() -> bool:
    """Whether a table of words can be created."""
    try:
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.execute("CREATE VIRTUAL TABLE words USING fts5 (word)")
    except sqlite3.OperationalError:
        return False
    return True
