"""Queries on the counts and weights of all pairs by kind, which the transaction that writes pairs keeps.

A weight is summed in whole billionths, so that the sum does not depend on the order of what came and went.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Final, NamedTuple

from patina_hooks.specs.plugins import PairScopeKind

WEIGHT_UNIT: Final = 1_000_000_000

PairKindKey = tuple[int, str]
"""A generator and a kind, as `pair` stores them."""


class PairTotal(NamedTuple):
    """A row of `pair_total`. kind: as stored; name: as shown, that of the generator where `kind` is ""."""

    generator: int
    kind: str
    name: str
    scope_kind: PairScopeKind
    pairs: int
    weight: float


def add_totals(connection: sqlite3.Connection, changes: Iterable[tuple[int, str, int, int]]) -> None:
    """Add (generator, kind, count, weight in billionths) to the stored totals, and drop those of no pair."""
    connection.executemany(
        "INSERT INTO pair_total VALUES (?, ?, ?, ?) ON CONFLICT (generator_id, kind)"
        " DO UPDATE SET count = count + excluded.count, weight = weight + excluded.weight",
        changes,
    )
    connection.execute("DELETE FROM pair_total WHERE count = 0")


def read_totals(connection: sqlite3.Connection) -> list[PairTotal]:
    """Return the totals of each kind."""
    rows = connection.execute(
        "SELECT t.generator_id, t.kind, coalesce(nullif(t.kind, ''), g.name), g.reads, t.count, t.weight"
        " FROM pair_total t JOIN generator g ON g.id = t.generator_id ORDER BY 1, 2"
    )
    return [
        PairTotal(generator, kind, name, scope_kind, pairs, weight / WEIGHT_UNIT)
        for generator, kind, name, scope_kind, pairs, weight in rows
    ]
