"""Units of pairs: which sessions, commits and modules a change of the corpus makes stale.

They are marked in the transaction that changes what they are made of, so that a killed sync loses none;
`patina_hooks.pairs.update` makes the pairs of stale units anew.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

_MARK = "ON CONFLICT (reads, name) DO UPDATE SET stale = 1 WHERE NOT stale"


def mark_sessions(connection: sqlite3.Connection, sessions: Iterable[str]) -> None:
    """Sessions whose tags, commits or documents changed, and for each the next one with a document, which
    looks back on it or did so until now."""
    for session in sessions:
        connection.execute(
            "INSERT INTO unit (reads, name, stale) SELECT 'session', ?, 1 UNION SELECT 'session', session, 1"
            " FROM (SELECT session FROM document WHERE session > ? AND work_tree = ''"
            f" ORDER BY session LIMIT 1) WHERE true {_MARK}",
            (session, session),
        )


def mark_commits(connection: sqlite3.Connection, oids: Iterable[str]) -> None:
    """Commits that are new or gone, or whose messages or paths are told otherwise."""
    connection.executemany(
        f"INSERT INTO unit (reads, name, stale) VALUES ('commit', ?, 1) {_MARK}", [(oid,) for oid in oids]
    )


def mark_modules(connection: sqlite3.Connection, commit: int) -> None:
    """The folders of the paths that of all commits this row of `commits` alone tells of: called with its
    changes just written, or about to go, it marks where a path comes to life or leaves it."""
    connection.execute(
        "INSERT INTO unit (reads, name, stale) SELECT DISTINCT 'module', p.folder, 1"
        " FROM change h JOIN path p ON p.id = h.path_id WHERE h.commit_id = ? AND NOT EXISTS"
        f" (SELECT 1 FROM change o WHERE o.path_id = h.path_id AND o.commit_id != ?) {_MARK}",
        (commit, commit),
    )
