"""What a query is restricted to, as one SQL expression over observations' ids.

Values travel as bound parameters. A filter that names nothing restricts nothing.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field

from patina_hooks.corpus.timeline import SESSION_OF_COMMIT
from patina_hooks.errors import UsageError
from patina_hooks.git.repository import Repository

_JOIN = """SELECT o.id FROM observation o JOIN source s ON s.id = o.source_id
 JOIN document d ON d.oid = s.oid LEFT JOIN commits c ON c.oid = d.oid WHERE o.live"""


@dataclass(slots=True)
class Allowed:
    """SQL for the ids of observations that may answer ("" for all of them), and its parameters."""

    sql: str = ""
    bound: tuple[object, ...] = ()

    def text_keys(self, connection: sqlite3.Connection) -> frozenset[bytes] | None:
        """The texts that such observations say, None for all."""
        if not self.sql:
            return None
        rows = connection.execute(
            f"SELECT DISTINCT text_key FROM observation WHERE id IN ({self.sql})",
            self.bound,
        )
        return frozenset(row[0] for row in rows)


@dataclass(slots=True)
class _Conditions:
    clauses: list[str] = field(default_factory=list)
    bound: list[object] = field(default_factory=list)

    def add(self, clause: str, *values: object) -> None:
        self.clauses.append(clause)
        self.bound += values


def allowed(
    connection: sqlite3.Connection,
    repository: Repository,
    *,
    kinds: tuple[str, ...] = (),
    session: str | None = None,
    since: int | None = None,
    until: int | None = None,
    ref: str | None = None,
    path: str | None = None,
    folder: str,
) -> Allowed:
    """All conditions together. since, until: seconds since 1970; folder: where session documents are.

    Raises `UsageError` for an unknown ref.
    """
    conditions = _Conditions()
    if kinds:
        conditions.add(f"o.kind IN ({', '.join('?' * len(kinds))})", *kinds)
    if session:
        conditions.add(f"{_SESSION} = ?", session)
    if since is not None:
        conditions.add(f"{_WHEN} >= ?", since)
    if until is not None:
        conditions.add(f"{_WHEN} < ?", until)
    if path:
        _add_path(conditions, path)
    if ref:
        _add_ref(connection, repository, conditions, ref, folder)
    if not conditions.clauses:
        return Allowed()
    return Allowed(" AND ".join([_JOIN, *conditions.clauses]), tuple(conditions.bound))


_SESSION = f"coalesce(d.session, {SESSION_OF_COMMIT})"

_WHEN = """coalesce(c.committed, (SELECT started FROM session WHERE id = d.session), 0)"""
_TOUCHES = """SELECT h.commit_id FROM change h JOIN path p ON p.id = h.path_id
 WHERE p.path = ? OR substr(p.path, 1, length(?) + 1) = ? || '/'"""


def _add_path(conditions: _Conditions, path: str) -> None:
    """Commits that touched a path or anything under it, and the sessions those commits belong to."""
    path = path.rstrip("/")
    conditions.add(
        f"(c.id IN ({_TOUCHES}) OR d.session IN"
        f" (SELECT {SESSION_OF_COMMIT} FROM commits c WHERE c.id IN ({_TOUCHES})))",
        path, path, path, path, path, path,
    )  # fmt: skip


def _add_ref(
    connection: sqlite3.Connection, repository: Repository, conditions: _Conditions, ref: str, folder: str
) -> None:
    tip = repository.resolve(ref)
    if tip is None:
        raise UsageError(f"{ref!r} names no commit in this repository", hint="git branch --all")
    connection.execute("CREATE TEMP TABLE IF NOT EXISTS reached (oid TEXT PRIMARY KEY)")
    connection.execute("DELETE FROM reached")
    tree = repository.names([f"{tip}:{folder}"])[0]
    blobs = [entry.oid for entry in repository.tree(tree)] if tree else []
    connection.executemany(
        "INSERT OR IGNORE INTO reached VALUES (?)", [(oid,) for oid in [*repository.reachable([tip]), *blobs]]
    )
    conditions.add("d.oid IN (SELECT oid FROM reached)")
