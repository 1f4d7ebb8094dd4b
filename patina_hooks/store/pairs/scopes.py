"""Queries on pair scopes: the sessions, commits and modules that pairs are made of, and which are stale."""

from __future__ import annotations

import sqlite3
import time
from calendar import timegm
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from patina_hooks.specs.plugins import PairScopeKind
from patina_hooks.store.corpus.sessions import SESSION_OF_COMMIT


class PairScope(NamedTuple):
    """A row of `unit`. name: of a session its id, of a commit its oid, of a module its folder."""

    id: int
    kind: PairScopeKind
    name: str


class DatedScope(NamedTuple):
    """A scope with its time.

    since, until: of a session its start, of a commit its time, of a module when its oldest and its youngest
    path were first changed; seconds since 1970. session: the session that it is, or that its commit belongs
    to; None for a module.
    """

    id: int
    kind: PairScopeKind
    name: str
    since: int
    until: int
    session: str | None


_MARK: Final = "ON CONFLICT (reads, name) DO UPDATE SET stale = 1 WHERE NOT stale"


def mark_sessions(connection: sqlite3.Connection, sessions: Iterable[str]) -> None:
    """Mark sessions whose tags, commits or documents changed.

    For each, the next session with a document is marked as well: it refers to the one before it.
    """
    for session in sessions:
        connection.execute(
            "INSERT INTO unit (reads, name, stale) SELECT 'session', ?, 1 UNION SELECT 'session', session, 1"
            " FROM (SELECT session FROM document WHERE session > ? AND work_tree = ''"
            f" ORDER BY session LIMIT 1) WHERE true {_MARK}",
            (session, session),
        )


def mark_commits(connection: sqlite3.Connection, oids: Iterable[str]) -> None:
    """Mark commits that are new or gone, or whose observations or paths changed."""
    connection.executemany(
        f"INSERT INTO unit (reads, name, stale) VALUES ('commit', ?, 1) {_MARK}", [(oid,) for oid in oids]
    )


def mark_modules(connection: sqlite3.Connection, commit: int) -> None:
    """Mark the folders of the paths that only this row of `commits` changed.

    Called with its changes just written, or about to be deleted, it marks where a path appears or disappears.
    """
    connection.execute(
        "INSERT INTO unit (reads, name, stale) SELECT DISTINCT 'module', p.folder, 1"
        " FROM change h JOIN path p ON p.id = h.path_id WHERE h.commit_id = ? AND NOT EXISTS"
        f" (SELECT 1 FROM change o WHERE o.path_id = h.path_id AND o.commit_id != ?) {_MARK}",
        (commit, commit),
    )


def mark_stale(connection: sqlite3.Connection, scopes: Iterable[int]) -> None:
    """Have the next update read these scopes again."""
    connection.executemany("UPDATE unit SET stale = 1 WHERE id = ?", [(scope,) for scope in scopes])


def mark_read(connection: sqlite3.Connection, scope: int) -> None:
    """Store that the pairs of a scope are those of its present contents."""
    connection.execute("UPDATE unit SET stale = 0 WHERE id = ?", (scope,))


def read_stale(connection: sqlite3.Connection, limit: int) -> list[PairScope]:
    """Return the first stale scopes, by kind and name."""
    rows = connection.execute(
        "SELECT id, reads, name FROM unit WHERE stale ORDER BY reads, name LIMIT ?", (limit,)
    )
    return list(map(PairScope._make, rows))


def read_fresh(
    connection: sqlite3.Connection, kind: PairScopeKind, after: int, limit: int
) -> list[PairScope]:
    """Return the first scopes of a kind that are not stale and have a larger id, in order of ids."""
    rows = connection.execute(
        # The plus keeps the order of ids, which is how far a new generator came.
        "SELECT id, reads, name FROM unit WHERE id > ? AND +reads = ? AND NOT stale ORDER BY id LIMIT ?",
        (after, kind, limit),
    )
    return list(map(PairScope._make, rows))


def has_scope(connection: sqlite3.Connection, scope: int) -> bool:
    """Return whether a scope is stored."""
    return connection.execute("SELECT 1 FROM unit WHERE id = ?", (scope,)).fetchone() is not None


def delete_scope(connection: sqlite3.Connection, scope: int) -> None:
    """Delete a scope with its pairs."""
    connection.execute("DELETE FROM pair WHERE unit_id = ?", (scope,))
    connection.execute("DELETE FROM unit WHERE id = ?", (scope,))


def read_dated_scopes(connection: sqlite3.Connection, kind: PairScopeKind) -> Iterable[DatedScope]:
    """Return the scopes of a kind that are not stale, the newest first."""
    return _READERS[kind](connection)


def read_start(connection: sqlite3.Connection, session: str) -> int:
    """Return when a session started; where that is not known, what its id says in UTC."""
    row = connection.execute("SELECT started FROM session WHERE id = ?", (session,)).fetchone()
    if row is None or row[0] is None:
        return timegm(time.strptime(session, "%Y%m%d-%H%M%S"))
    return int(row[0])


def _read_sessions(connection: sqlite3.Connection) -> list[DatedScope]:
    names = connection.execute(
        "SELECT u.id, u.name FROM unit u JOIN session s ON s.id = u.name"
        " WHERE u.reads = 'session' AND NOT u.stale"
    )
    starts = [(scope, name, read_start(connection, name)) for scope, name in names]
    scopes = [DatedScope(scope, "session", name, start, start, name) for scope, name, start in starts]
    return sorted(scopes, key=lambda scope: (-scope.until, scope.name))


def _read_commits(connection: sqlite3.Connection) -> Iterator[DatedScope]:
    for scope, name, moment, session in connection.execute(
        f"SELECT u.id, u.name, c.committed, {SESSION_OF_COMMIT} FROM commits c"
        " CROSS JOIN unit u ON u.reads = 'commit' AND u.name = c.oid WHERE NOT u.stale"
        " ORDER BY c.committed DESC, c.oid"
    ):
        yield DatedScope(scope, "commit", name, moment, moment, session)


def _read_modules(connection: sqlite3.Connection) -> Iterator[DatedScope]:
    for scope, name, since, until in connection.execute(
        "SELECT u.id, u.name, min(p.born), max(p.born) FROM unit u JOIN path p ON p.folder = u.name"
        " WHERE u.reads = 'module' AND NOT u.stale AND p.born IS NOT NULL GROUP BY u.id"
        " ORDER BY 4 DESC, u.name"
    ):
        yield DatedScope(scope, "module", name, since, until, None)


_READERS: Final[Mapping[PairScopeKind, Callable[[sqlite3.Connection], Iterable[DatedScope]]]] = {
    "session": _read_sessions,
    "commit": _read_commits,
    "module": _read_modules,
}
