"""Queries on live refs: branches, session tags and HEADs at the last look, and their trees of documents.

The tables keep the names that they have since 0.1.0: `tip`, `tip_tree`, and the column `side` for the edge of
a tag.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from typing import NamedTuple


class LiveRef(NamedTuple):
    """One live ref. kind: "branch", "tag" (of a session) or "head" (of a work tree).

    session, adapter, edge ("start" or "end"): the parts of a session tag's name.
    skipped: why a session tag does not count, else "".
    """

    name: str
    kind: str
    oid: str
    target: str | None
    dated: int | None = None
    session: str | None = None
    adapter: str | None = None
    edge: str | None = None
    skipped: str = ""


def read_branches(connection: sqlite3.Connection) -> dict[str, str]:
    """Return name -> commit of branches and HEADs."""
    return dict(connection.execute("SELECT name, oid FROM tip WHERE kind != 'tag'"))


def read_session_tags(connection: sqlite3.Connection) -> dict[str, LiveRef]:
    """Return session tags by name."""
    rows = connection.execute(
        "SELECT name, kind, oid, target, dated, session, adapter, side, skipped FROM tip WHERE kind = 'tag'"
    )
    return {row[0]: LiveRef(*row) for row in rows}


def delete_live_refs(connection: sqlite3.Connection, names: Iterable[str]) -> None:
    """Delete live refs by name."""
    connection.executemany("DELETE FROM tip WHERE name = ?", [(name,) for name in names])


def write_live_refs(connection: sqlite3.Connection, live_refs: Iterable[LiveRef]) -> None:
    """Add live refs, or replace those with the same names."""
    connection.executemany("INSERT OR REPLACE INTO tip VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", list(live_refs))


def read_tags_of_session(
    connection: sqlite3.Connection, session: str
) -> dict[str, tuple[str | None, int | None, str | None]]:
    """Return edge -> (target, date, adapter) of a session's tags."""
    rows = connection.execute(
        "SELECT side, target, dated, adapter FROM tip WHERE session = ? ORDER BY name DESC", (session,)
    )
    return {edge: (target, dated, adapter) for edge, target, dated, adapter in rows}


# --- trees of documents -----------------------------------------------------------------------------


def read_trees(connection: sqlite3.Connection, scope: str) -> set[str]:
    """Return the distinct trees of a scope at the last look."""
    rows = connection.execute("SELECT DISTINCT tree FROM tip_tree WHERE scope = ? AND tree != ''", (scope,))
    return {row[0] for row in rows}


def read_tree_targets(connection: sqlite3.Connection, scope: str) -> set[str]:
    """Return the commits whose trees are stored in a scope."""
    return {row[0] for row in connection.execute("SELECT target FROM tip_tree WHERE scope = ?", (scope,))}


def read_tree_scopes(connection: sqlite3.Connection) -> set[str]:
    """Return the scopes whose trees are stored."""
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


def cover_targets(connection: sqlite3.Connection, commits: Iterable[str], *, from_nothing: bool) -> None:
    """Mark targets that are ancestors of other recorded commits.

    Args:
        connection: to the log, inside a transaction.
        commits: parents of recorded commits.
        from_nothing: remove older marks first.
    """
    if from_nothing:
        connection.execute("UPDATE tip_tree SET covered = 0 WHERE covered")
    connection.executemany("UPDATE tip_tree SET covered = 1 WHERE target = ?", [(c,) for c in commits])
