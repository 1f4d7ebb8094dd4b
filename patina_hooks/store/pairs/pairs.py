"""Queries on stored pairs: written scope by scope, read for training and to be shown."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping
from typing import Final, NamedTuple

from patina_hooks.specs.plugins import PairScopeKind
from patina_hooks.store.pairs.scopes import read_start
from patina_hooks.store.pairs.totals import PairKindKey

_KIND = "coalesce(nullif(p.kind, ''), g.name)"
_MEMBERS = (
    "LEFT JOIN observation a ON a.id = p.anchor LEFT JOIN observation b ON b.id = p.positive"
    " LEFT JOIN path v ON v.id = -p.anchor LEFT JOIN path w ON w.id = -p.positive"
)


class PairKey(NamedTuple):
    """What identifies a pair in its scope.

    kind: "" for the generator's own. anchor, positive, negative: the id of an observation, or that of a path
    with a minus; negative is 0 for none.
    """

    generator: int
    kind: str
    anchor: int
    positive: int
    negative: int


class PairValue(NamedTuple):
    """What a pair carries. evidence: "" for the generator's own."""

    weight: float
    evidence: str


class PairText(NamedTuple):
    """A pair with its texts, or paths. commit: whose message the anchor is, else None."""

    kind: str
    anchor: str
    positive: str
    negative: str | None
    weight: float
    evidence: str
    generator_evidence: str
    commit: str | None


class PairMembers(NamedTuple):
    """A pair as training needs it.

    anchor, positive: as in `PairKey`. The keys are those of the texts (16 bytes), None for paths; the paths
    None for texts.
    """

    kind: str
    scope: int
    anchor: int
    positive: int
    weight: float
    anchor_key: bytes | None
    positive_key: bytes | None
    anchor_path: str | None
    positive_path: str | None


def read_pairs(connection: sqlite3.Connection, scope: int) -> dict[PairKey, PairValue]:
    """Return the pairs of a scope."""
    rows = connection.execute(
        "SELECT generator_id, kind, anchor, positive, negative, weight, evidence FROM pair WHERE unit_id = ?",
        (scope,),
    )
    return {PairKey(*row[:5]): PairValue(*row[5:]) for row in rows}


def read_pair_weights(connection: sqlite3.Connection, scope: int) -> Iterator[tuple[PairKindKey, float]]:
    """Yield ((generator, kind), weight) of each pair of a scope."""
    rows = connection.execute("SELECT generator_id, kind, weight FROM pair WHERE unit_id = ?", (scope,))
    return (((generator, kind), weight) for generator, kind, weight in rows)


def delete_generated_pairs(
    connection: sqlite3.Connection, scope: int, generator: int
) -> list[tuple[PairKindKey, float]]:
    """Delete the pairs of a scope by one generator; return ((generator, kind), weight) of each."""
    rows = connection.execute(
        "SELECT kind, weight FROM pair WHERE unit_id = ? AND generator_id = ?", (scope, generator)
    ).fetchall()
    connection.execute("DELETE FROM pair WHERE unit_id = ? AND generator_id = ?", (scope, generator))
    return [((generator, kind), weight) for kind, weight in rows]


def replace_pairs(
    connection: sqlite3.Connection,
    scope: int,
    old: Mapping[PairKey, PairValue],
    new: Mapping[PairKey, PairValue],
) -> None:
    """Make the pairs of a scope those of `new`; write only what differs from `old`."""
    connection.executemany(
        "DELETE FROM pair WHERE unit_id = ? AND generator_id = ? AND kind = ? AND anchor = ? AND positive = ?"
        " AND negative = ?",
        [(scope, *key) for key in old if key not in new],
    )
    connection.executemany(
        "INSERT OR REPLACE INTO pair VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [(scope, *key, *value) for key, value in new.items() if old.get(key) != value],
    )


def read_pair_members(connection: sqlite3.Connection, kinds: Collection[str]) -> Iterator[PairMembers]:
    """Yield all pairs of these kinds, in no order."""
    marks = ", ".join("?" * len(kinds))
    rows = connection.execute(
        f"SELECT {_KIND} AS named, p.unit_id, p.anchor, p.positive, p.weight, a.text_key, b.text_key, v.path,"
        f" w.path FROM pair p JOIN generator g ON g.id = p.generator_id {_MEMBERS} WHERE named IN ({marks})",
        tuple(kinds),
    )
    return map(PairMembers._make, rows)


def read_pair_texts(connection: sqlite3.Connection, scope: int, kind: str) -> Iterator[PairText]:
    """Yield the pairs of a scope with their texts, by kind and texts.

    Args:
        connection: to the log.
        scope: the row of the scope.
        kind: "" for all.
    """
    rows = connection.execute(
        f"SELECT {_KIND} AS named, coalesce(a.text, v.path), coalesce(b.text, w.path),"
        " coalesce(c.text, x.path), p.weight, p.evidence, g.evidence, m.oid"
        f" FROM pair p JOIN generator g ON g.id = p.generator_id {_MEMBERS}"
        " LEFT JOIN observation c ON c.id = p.negative LEFT JOIN path x ON x.id = -p.negative"
        " LEFT JOIN source s ON s.id = a.source_id LEFT JOIN commits m ON m.oid = s.oid"
        " WHERE p.unit_id = ? AND ? IN ('', named) ORDER BY 1, 2, 3, 4, 5, 6",
        (scope, kind),
    )
    return map(PairText._make, rows)


def read_first_changes(connection: sqlite3.Connection) -> dict[int, int]:
    """Return when each path, by id, was first changed by a recorded commit; seconds since 1970."""
    return dict(connection.execute("SELECT id, born FROM path WHERE born IS NOT NULL"))


def read_time_range(
    connection: sqlite3.Connection, generator: int, kind: str, scope_kind: PairScopeKind
) -> tuple[int, int]:
    """Return when the first and the last scope with pairs of a kind began, walking from either end."""
    has_pairs = "EXISTS (SELECT 1 FROM pair p WHERE p.unit_id = u.id AND p.generator_id = ? AND p.kind = ?)"
    moments = []
    if scope_kind == "session":
        undated = connection.execute(
            "SELECT u.name FROM session s CROSS JOIN unit u ON u.reads = 'session' AND u.name = s.id"
            f" WHERE s.started IS NULL AND {has_pairs}",
            (generator, kind),
        )
        moments = [read_start(connection, name) for (name,) in undated]
    column, rows = _BY_TIME[scope_kind]
    for order in ("", "DESC"):
        row = connection.execute(
            f"SELECT {column} FROM {rows} AND {has_pairs} ORDER BY 1 {order} LIMIT 1", (generator, kind)
        ).fetchone()
        moments += [int(row[0])] if row else []
    return min(moments, default=0), max(moments, default=0)


_BY_TIME: Final[Mapping[PairScopeKind, tuple[str, str]]] = {
    "session": (
        "s.started",
        "session s CROSS JOIN unit u ON u.reads = 'session' AND u.name = s.id WHERE s.started IS NOT NULL",
    ),
    "commit": (
        "c.committed",
        "commits c CROSS JOIN unit u ON u.reads = 'commit' AND u.name = c.oid WHERE c.committed IS NOT NULL",
    ),
    "module": (
        "p.born",
        "path p CROSS JOIN unit u ON u.reads = 'module' AND u.name = p.folder WHERE p.born IS NOT NULL",
    ),
}
