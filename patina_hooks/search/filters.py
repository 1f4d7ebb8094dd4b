"""What a query is restricted to, as one SQL expression over observations' ids.

Values travel as bound parameters. A filter that names nothing restricts nothing.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from patina_hooks.corpus.timeline import SESSION_OF_COMMIT
from patina_hooks.errors import UsageError
from patina_hooks.git.repository import Repository

if TYPE_CHECKING:
    from patina_hooks.search.scry import Query

_JOIN = """SELECT o.id FROM observation o JOIN source s ON s.id = o.source_id
 JOIN document d ON d.oid = s.oid LEFT JOIN commits c ON c.oid = d.oid WHERE o.live"""


KINDS: Final = (
    *("decision", "pattern", "work", "challenge", "next", "discussion", "note", "activity"),
    *("goal", "context", "prompt", "text", "commit", "body"),
)
"""The kinds of observations that patina's own extractors make, whether or not a memory holds any."""


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
    query: Query,
    folder: str,
) -> Allowed:
    """All conditions of a query together. folder: where session documents are.

    Raises `UsageError` for a kind that nothing has, an unknown session or an unknown ref.
    """
    conditions = _Conditions()
    if query.kinds:
        _check_kinds(connection, query.kinds)
        conditions.add(f"o.kind IN ({', '.join('?' * len(query.kinds))})", *query.kinds)
    if query.session:
        conditions.add(f"{_SESSION} = ?", _whole(connection, query.session))
    if query.since is not None:
        conditions.add(f"{_WHEN} >= ?", query.since)
    if query.until is not None:
        conditions.add(f"{_WHEN} < ?", query.until)
    if query.path:
        _add_path(conditions, query.path)
    if query.ref:
        _add_ref(connection, repository, conditions, query.ref, folder)
    if not conditions.clauses:
        return Allowed()
    return Allowed(" AND ".join([_JOIN, *conditions.clauses]), tuple(conditions.bound))


_SESSION = f"coalesce(d.session, {SESSION_OF_COMMIT})"

_WHEN = """coalesce(c.committed, (SELECT started FROM session WHERE id = d.session))"""
"""NULL, which is on neither side of any bound, for a document that tells no time."""

_TOUCHES = """SELECT h.commit_id FROM change h JOIN path p ON p.id = h.path_id
 WHERE p.path = ? OR substr(p.path, 1, length(?) + 1) = ? || '/'"""


def _check_kinds(connection: sqlite3.Connection, kinds: tuple[str, ...]) -> None:
    for kind in kinds:
        ask = "SELECT 1 FROM observation WHERE live AND kind = ? LIMIT 1"
        if kind not in KINDS and not connection.execute(ask, (kind,)).fetchone():
            stored = connection.execute("SELECT DISTINCT kind FROM observation WHERE live ORDER BY kind")
            known = dict.fromkeys([*KINDS, *(row[0] for row in stored)])
            raise UsageError(f"no observation is a {kind!r}", hint=f"one of {', '.join(known)}")


def _whole(connection: sqlite3.Connection, begins: str) -> str:
    """The id of the one session whose id begins so."""
    ask = "SELECT id FROM session WHERE substr(id, 1, length(?)) = ? ORDER BY id"
    found = [str(row[0]) for row in connection.execute(ask, (begins, begins))]
    if not found:
        raise UsageError(f"no session {begins!r} is recorded", hint="patina session list")
    if len(found) > 1:
        some = ", ".join(found[:3]) + (", ..." if len(found) > 3 else "")
        raise UsageError(f"{len(found)} sessions begin with {begins!r}: {some}", hint="patina session list")
    return found[0]


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
