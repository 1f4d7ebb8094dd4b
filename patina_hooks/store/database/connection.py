"""Connections to the SQLite files of the state folder."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

_BUSY_SECONDS: Final = 30.0


def read_data_version(connection: sqlite3.Connection) -> int:
    """Return a number that differs after another connection has written."""
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


def connect(path: Path) -> sqlite3.Connection:
    """Open a file to read and write; create it if it is absent."""
    # Threads may use one connection in turn; the caller serialises them.
    connection = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_SECONDS, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA secure_delete = ON")  # a text that was redacted is not to stay on the disk
    except BaseException:
        connection.close()
        raise
    return connection


def connect_to_read(path: Path) -> sqlite3.Connection:
    """Open a file to read, even if nothing can be written."""
    try:
        connection = connect(path)
    except sqlite3.OperationalError:
        # No space, or no permission, for the two files that WAL needs next to the database: the file is read
        # without them. It is complete if the last writer closed it.
        unchanging = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        connection = sqlite3.connect(unchanging, uri=True, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA temp_store = MEMORY")  # of filters, see `patina_hooks.search.filters.filters`
    return connection
