"""Counts and weights of all pairs by kind, kept by the transaction that writes pairs.

A weight is summed in whole billionths, so that the sum does not depend on the order of what came and went.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable

from patina_hooks.specs.plugins import PairUnitKind

_UNIT = 1_000_000_000

Kind = tuple[int, str]
"""A generator and a kind, as `pair` stores them."""


class PairTotals:
    """Changes of the totals, collected within one transaction and written at its end."""

    def __init__(self) -> None:
        self._counts: Counter[Kind] = Counter()
        self._weights: Counter[Kind] = Counter()

    def add(self, pairs: Iterable[tuple[Kind, float]], sign: int = 1) -> None:
        """Count (kind, weight) of pairs that came, or with sign -1 of those that went."""
        for kind, weight in pairs:
            self._counts[kind] += sign
            self._weights[kind] += sign * round(weight * _UNIT)

    def write(self, connection: sqlite3.Connection) -> None:
        """Add the changes to the stored totals and forget them."""
        connection.executemany(
            "INSERT INTO pair_total VALUES (?, ?, ?, ?) ON CONFLICT (generator_id, kind)"
            " DO UPDATE SET count = count + excluded.count, weight = weight + excluded.weight",
            [(*kind, count, self._weights[kind]) for kind, count in self._counts.items()],
        )
        connection.execute("DELETE FROM pair_total WHERE count = 0")
        self._counts.clear()
        self._weights.clear()


def read_totals(connection: sqlite3.Connection) -> list[tuple[int, str, str, PairUnitKind, int, float]]:
    """Return (generator, kind as stored and as named, what it reads, count, weight) of each kind."""
    rows = connection.execute(
        "SELECT t.generator_id, t.kind, coalesce(nullif(t.kind, ''), g.name), g.reads, t.count, t.weight"
        " FROM pair_total t JOIN generator g ON g.id = t.generator_id ORDER BY 1, 2"
    )
    return [(*row[:5], row[5] / _UNIT) for row in rows]
