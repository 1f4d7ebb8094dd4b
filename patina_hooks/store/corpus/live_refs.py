"""Queries on tips: live refs and HEADs at the last look, and the trees of documents there."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from typing import NamedTuple


class LiveRef(NamedTuple):
    """One live tip. kind: "branch", "tag" (of a session) or "head" (of a work tree).

    session, adapter, side ("start" or "end"): what a session tag's name says.
    skipped: why a session tag counts for nothing, else "".
    """

    name: str
    kind: str
    oid: str
    target: str | None
    dated: int | None = None
    session: str | None = None
    adapter: str | None = None
    side: str | None = None
    skipped: str = ""


def read_branches(connection: sqlite3.Connection) -> dict[str, str]:
    """Return name -> commit of branches and HEADs."""
    return dict(connection.execute("SELECT name, oid FROM tip WHERE kind != 'tag'"))


def read_tags(connection: sqlite3.Connection) -> dict[str, LiveRef]:
    """Return session tags by name."""
    rows = connection.execute(
        "SELECT name, kind, oid, target, dated, session, adapter, side, skipped FROM tip WHERE kind = 'tag'"
    )
    return {row[0]: LiveRef(*row) for row in rows}


def write_live_refs(connection: sqlite3.Connection, gone: Iterable[str], came: Iterable[LiveRef]) -> None:
    """Delete tips by name, and store others."""
    connection.executemany("DELETE FROM tip WHERE name = ?", [(name,) for name in gone])
    connection.executemany("INSERT OR REPLACE INTO tip VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", list(came))


def read_tags_of_session(
    connection: sqlite3.Connection, session: str
) -> dict[str, tuple[str | None, int | None, str | None]]:
    """Return side -> (target, date, adapter) of a session's tags."""
    rows = connection.execute(
        "SELECT side, target, dated, adapter FROM tip WHERE session = ? ORDER BY name DESC", (session,)
    )
    return {side: (target, dated, adapter) for side, target, dated, adapter in rows}


# --- trees of documents -----------------------------------------------------------------------------


def read_trees(connection: sqlite3.Connection, scope: str) -> set[str]:
    """Return the distinct trees of a scope at the last look."""
    rows = connection.execute("SELECT DISTINCT tree FROM tip_tree WHERE scope = ? AND tree != ''", (scope,))
    return {row[0] for row in rows}


def read_tree_targets(connection: sqlite3.Connection, scope: str) -> set[str]:
    """Return the commits whose trees are known in a scope."""
    return {row[0] for row in connection.execute("SELECT target FROM tip_tree WHERE scope = ?", (scope,))}


def read_tree_scopes(connection: sqlite3.Connection) -> set[str]:
    """Return the scopes of which trees are known."""
    return {row[0] for row in connection.execute("SELECT DISTINCT scope FROM tip_tree")}


def store_trees(connection: sqlite3.Connection, scope: str, trees: Mapping[str, str | None]) -> None:
    """Store commit -> tree, None where it has none."""
    connection.executemany(
        "INSERT INTO tip_tree (scope, target, tree) VALUES (?, ?, ?)"
        " ON CONFLICT (scope, target) DO UPDATE SET tree = excluded.tree",
        [(scope, commit, tree or "") for commit, tree in trees.items()],
    )


def delete_trees(connection: sqlite3.Connection, scope: str, commits: Iterable[str]) -> None:
    """Forget the trees of commits in a scope."""
    connection.executemany(
        "DELETE FROM tip_tree WHERE scope = ? AND target = ?", [(scope, commit) for commit in commits]
    )


def cover_targets(connection: sqlite3.Connection, commits: Iterable[str], *, again: bool) -> None:
    """Mark the targets that other recorded commits stand on. again: forget older marks."""
    if again:
        connection.execute("UPDATE tip_tree SET covered = 0 WHERE covered")
    connection.executemany("UPDATE tip_tree SET covered = 1 WHERE target = ?", [(c,) for c in commits])
