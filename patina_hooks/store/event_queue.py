"""The queue of one sync's events for plugins: a temporary database that nothing else can open.

A small queue stays in memory, that of a whole history goes to the disk. Values are packed by the caller.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Final

_TABLES: Final = """
CREATE TABLE value (seq INTEGER PRIMARY KEY, event TEXT NOT NULL, part TEXT NOT NULL, data BLOB NOT NULL);
CREATE INDEX value_by_event ON value (event, part, seq);
CREATE TABLE recorded (oid TEXT PRIMARY KEY, committed INTEGER NOT NULL, data BLOB NOT NULL, parents INTEGER);
CREATE INDEX recorded_next ON recorded (committed, oid) WHERE parents = 0;
CREATE TABLE parent (parent TEXT NOT NULL, child TEXT NOT NULL, PRIMARY KEY (parent, child)) WITHOUT ROWID;
CREATE TABLE ended_commit (
    session TEXT NOT NULL, place INTEGER NOT NULL, oid TEXT NOT NULL, PRIMARY KEY (session, place)
) WITHOUT ROWID;
CREATE TABLE earlier (oid TEXT PRIMARY KEY, data BLOB) WITHOUT ROWID;
"""


def open_queue() -> sqlite3.Connection:
    """Open an empty queue. Threads may take turns on it."""
    connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    connection.executescript(_TABLES)
    connection.execute("BEGIN")
    return connection


def add_value(connection: sqlite3.Connection, event: str, part: str, data: bytes) -> None:
    """Append a value to a part of an event."""
    connection.execute("INSERT INTO value (event, part, data) VALUES (?, ?, ?)", (event, part, data))


def read_values(connection: sqlite3.Connection, event: str, part: str) -> Iterator[bytes]:
    """Yield the values of a part of an event, in the order in which they came."""
    rows = connection.execute(
        "SELECT data FROM value WHERE event = ? AND part = ? ORDER BY seq", (event, part)
    )
    return (data for (data,) in rows)


def add_commit(
    connection: sqlite3.Connection, oid: str, committed: int, parents: Iterable[str], data: bytes
) -> None:
    """Keep a commit that is new to the log. committed: seconds since 1970."""
    connection.execute("INSERT OR REPLACE INTO recorded VALUES (?, ?, ?, NULL)", (oid, committed, data))
    connection.executemany(
        "INSERT OR IGNORE INTO parent VALUES (?, ?)", [(parent, oid) for parent in parents]
    )


def take_commits(connection: sqlite3.Connection) -> Iterator[bytes]:
    """Yield new commits by time; where clocks were wrong, still each after its parents."""
    connection.execute(
        "UPDATE recorded SET parents = (SELECT count(*) FROM parent p WHERE p.child = recorded.oid"
        " AND p.parent IN (SELECT oid FROM recorded))"
    )
    first = "SELECT oid, data FROM recorded WHERE parents = 0 ORDER BY committed, oid LIMIT 1"
    while row := connection.execute(first).fetchone():
        connection.execute("UPDATE recorded SET parents = -1 WHERE oid = ?", row[:1])
        connection.execute(
            "UPDATE recorded SET parents = parents - 1"
            " WHERE oid IN (SELECT child FROM parent WHERE parent = ?)",
            row[:1],
        )
        yield row[1]


def add_ended_commits(connection: sqlite3.Connection, session: str, oids: Iterable[str]) -> None:
    """Keep the commits of an ended session, oldest first."""
    connection.executemany(
        "INSERT OR REPLACE INTO ended_commit VALUES (?, ?, ?)",
        [(session, place, oid) for place, oid in enumerate(oids)],
    )


def add_earlier_commits(connection: sqlite3.Connection) -> list[str]:
    """Return the commits of ended sessions that are not new, and make room for each."""
    connection.execute(
        "INSERT OR IGNORE INTO earlier SELECT oid, NULL FROM ended_commit"
        " WHERE oid NOT IN (SELECT oid FROM recorded)"
    )
    return [oid for (oid,) in connection.execute("SELECT oid FROM earlier")]


def set_earlier_commits(connection: sqlite3.Connection, commits: Iterable[tuple[str, bytes]]) -> None:
    """Keep (oid, data) of commits of `add_earlier_commits`."""
    connection.executemany(
        "UPDATE earlier SET data = ? WHERE oid = ?", ((data, oid) for oid, data in commits)
    )


def read_ended_commits(connection: sqlite3.Connection, session: str) -> list[bytes]:
    """Return the commits of an ended session, oldest first, but for those that were not found."""
    rows = connection.execute(
        "SELECT coalesce(r.data, e.data) FROM ended_commit c LEFT JOIN recorded r ON r.oid = c.oid"
        " LEFT JOIN earlier e ON e.oid = c.oid WHERE c.session = ? ORDER BY c.place",
        (session,),
    )
    return [data for (data,) in rows if data is not None]
