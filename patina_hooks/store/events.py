"""Queries on events: what was seen and when, append-only."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

_RECORD_ONCE: Final = """
INSERT INTO event (time, kind, subject, detail, dated) SELECT ?1, ?2, ?3, ?4, ?5 WHERE NOT coalesce((
    SELECT kind = ?2 AND (kind = 'commit' OR detail = ?4) FROM event
    WHERE subject = ?3 AND kind IN (?2, CASE ?2 WHEN 'commit' THEN 'gone' WHEN 'document' THEN 'left' END)
    AND (?2 NOT IN ('document', 'skipped') OR detail = ?4) ORDER BY seq DESC LIMIT 1), 0)
"""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the log.

    time: when it was recorded, in seconds since 1970. dated: when it happened; the time of recording where
    nothing tells.
    """

    time: int
    kind: str
    subject: str
    detail: str
    dated: int


def append_events(connection: sqlite3.Connection, kind: str, subjects: Iterable[tuple[str, str]]) -> None:
    """Append one event for each (subject, detail), now."""
    now = int(time.time())
    connection.executemany(
        "INSERT INTO event (time, kind, subject, detail, dated) VALUES (?, ?, ?, ?, ?)",
        [(now, kind, subject, detail, now) for subject, detail in subjects],
    )


def append_new_events(
    connection: sqlite3.Connection, kind: str, subjects: Iterable[tuple[str, str, int | None]]
) -> None:
    """Append one event for each (subject, detail, date) that the log does not end with already.

    An index that is built from nothing keeps its events, and reads the same history again.

    Args:
        connection: to the log, inside a transaction.
        kind: of the events.
        subjects: the date is when it happened, None for now.
    """
    now = int(time.time())
    values = [
        (now, kind, subject, detail, now if date is None else date) for subject, detail, date in subjects
    ]
    connection.executemany(_RECORD_ONCE, values)


def rewrite_details(connection: sqlite3.Connection, change: Callable[[str], str]) -> None:
    """Change the details of past events, to remove a secret: no other function changes an event."""
    rows = connection.execute("SELECT seq, detail FROM event").fetchall()
    changed = [(new, seq) for seq, detail in rows if (new := change(detail)) != detail]
    connection.executemany("UPDATE event SET detail = ? WHERE seq = ?", changed)


def read_events(connection: sqlite3.Connection, limit: int, kind: str | None = None) -> list[Event]:
    """Return the last events, by the date at which they happened, newest first.

    Args:
        connection: to the log.
        limit: number of events at most.
        kind: None for all.
    """
    rows = connection.execute(
        "SELECT time, kind, subject, detail, dated FROM event WHERE ? IN ('', kind)"
        " ORDER BY dated DESC, seq DESC LIMIT ?",
        (kind or "", limit),
    )
    return [Event(*row) for row in rows]
