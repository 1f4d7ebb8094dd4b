"""The exact index, an inner-product scan over every segment; and the scan itself, for indexes that look at
fewer rows and score those exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from patina_hooks.search.index.segments import Piece, SegmentedIndex

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from patina_hooks.specs.vectors import Rows, Vectors

    Scores = NDArray[np.float32]

Found = list[tuple[float, bytes]]


class ExactIndex(SegmentedIndex[None]):
    """A `VectorIndex` that looks at every row."""

    def search(
        self, query: Vectors, limit: int, allowed: frozenset[bytes] | None = None
    ) -> list[tuple[bytes, float]]:
        return ranked([pair for piece in self._pieces(allowed) for pair in scan(piece, query, limit)], limit)


def inner(vectors: Vectors, query: Vectors) -> Scores:
    """The inner product of each row [n, d] with query [d]: the same for a row wherever it stands."""
    # Not `@`: it is hardly faster where memory is what takes the time, and the threads that it starts go on
    # spinning for a while, which slows the next question's model. Rounded, so that ties are ties.
    scores: Scores = np.round(np.einsum("ij,j->i", vectors, query), 5)
    return scores


def scan(piece: Piece[Any], query: Vectors, limit: int) -> Found:
    """The best (score, key) of all usable rows; at least `limit`, or all, with every tie at the border."""
    rows = np.flatnonzero(piece.usable)
    if 4 * len(rows) < len(piece.usable):
        return score(piece, rows, query, limit)
    return best(piece, rows, inner(piece.vectors, query)[rows], limit)


def score(piece: Piece[Any], rows: Rows, query: Vectors, limit: int) -> Found:
    """The best (score, key) of these rows, as `scan` would give them."""
    return best(piece, rows, inner(piece.vectors[rows], query), limit)


def ranked(found: Found, limit: int) -> list[tuple[bytes, float]]:
    """The `limit` best as a `VectorIndex` gives them, ties by key."""
    found.sort(key=lambda pair: (-pair[0], pair[1]))
    return [(key, value) for value, key in found[:limit]]


def best(piece: Piece[Any], rows: Rows, scores: Scores, limit: int) -> Found:
    """The best (score, key) of these rows by their scores; every tie at the border, as well."""
    take = min(limit, len(rows))
    if take < 1:
        return []
    border = np.partition(scores, -take)[-take]
    at = np.flatnonzero(scores >= border)
    return [(float(scores[i]), piece.keys[rows[i]].tobytes()) for i in at]
