"""The exact index: an inner-product scan of every segment, also for indexes that scan fewer rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from patina_hooks.search.index.segments import SegmentedIndex, SegmentView

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from patina_hooks.specs.vectors import Rows, Vectors

    Scores = NDArray[np.float32]

ScoredKeys = list[tuple[float, bytes]]
"""Scores with the keys of their vectors, best first."""


class ExactIndex(SegmentedIndex[None]):
    """A `VectorIndex` that scans every row."""

    def search(
        self, query: Vectors, limit: int, allowed: frozenset[bytes] | None = None
    ) -> list[tuple[bytes, float]]:
        return rank_keys(
            [pair for view in self._segment_views(allowed) for pair in scan(view, query, limit)], limit
        )


def inner(vectors: Vectors, query: Vectors) -> Scores:
    """Compute the inner product of each row [n, d] with query [d], independent of the row's position."""
    # Not `@`: it is hardly faster where memory is the bottleneck, and its threads keep spinning for a while,
    # which slows the model of the next query. Rounded, so that ties are ties.
    scores: Scores = np.round(np.einsum("ij,j->i", vectors, query), 5)
    return scores


def scan(view: SegmentView[Any], query: Vectors, limit: int) -> ScoredKeys:
    """Return the best (score, key) of all usable rows: `limit` or all, with every tie at the border."""
    rows = np.flatnonzero(view.usable)
    if 4 * len(rows) < len(view.usable):
        return score(view, rows, query, limit)
    return best_keys(view, rows, inner(view.vectors, query)[rows], limit)


def score(view: SegmentView[Any], rows: Rows, query: Vectors, limit: int) -> ScoredKeys:
    """Return the best (score, key) of these rows, as `scan` does."""
    return best_keys(view, rows, inner(view.vectors[rows], query), limit)


def rank_keys(scored: ScoredKeys, limit: int) -> list[tuple[bytes, float]]:
    """Return the `limit` best as a `VectorIndex` does, ties by key."""
    scored.sort(key=lambda pair: (-pair[0], pair[1]))
    return [(key, value) for value, key in scored[:limit]]


def best_keys(view: SegmentView[Any], rows: Rows, scores: Scores, limit: int) -> ScoredKeys:
    """Return the best (score, key) of these rows by score, with every tie at the border."""
    count = min(limit, len(rows))
    if count < 1:
        return []
    border = np.partition(scores, -count)[-count]
    positions = np.flatnonzero(scores >= border)
    return [(float(scores[position]), view.keys[rows[position]].tobytes()) for position in positions]
