"""Changes of the totals of pairs, collected within one transaction."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable

from patina_hooks.store.pairs.totals import WEIGHT_UNIT, PairKindKey, add_totals


class PairTotals:
    """Changes of the totals, collected within one transaction and written at its end."""

    def __init__(self) -> None:
        self._counts: Counter[PairKindKey] = Counter()
        self._weights: Counter[PairKindKey] = Counter()

    def add(self, pairs: Iterable[tuple[PairKindKey, float]], sign: int = 1) -> None:
        """Count (kind, weight) of pairs that came, or with sign -1 of those that went."""
        for kind, weight in pairs:
            self._counts[kind] += sign
            self._weights[kind] += sign * round(weight * WEIGHT_UNIT)

    def write(self, connection: sqlite3.Connection) -> None:
        """Add the changes to the stored totals and forget them."""
        changes = [(*kind, count, self._weights[kind]) for kind, count in self._counts.items()]
        add_totals(connection, changes)
        self._counts.clear()
        self._weights.clear()
