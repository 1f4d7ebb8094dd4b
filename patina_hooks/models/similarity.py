"""Compare the vectors that two encoders give for the same texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from patina_hooks.specs.vectors import Vectors


def row_cosines(left: Vectors, right: Vectors) -> Vectors:
    """Compute the cosine of each row with the same row of the other array.

    Args:
        left: unit vectors [n, d]; a text without tokens has a zero row.
        right: unit vectors [n, d].

    Returns:
        Cosines [n]; 1 where both rows are zero.
    """
    import numpy as np

    products = np.einsum("nd,nd->n", left.astype(np.float64), right.astype(np.float64))
    return np.where(~left.any(axis=1) & ~right.any(axis=1), 1, products).astype(np.float32)


def nearest_passages(queries: Vectors, passages: Vectors, count: int) -> list[frozenset[int]]:
    """Find the passages with the highest inner products for each query.

    Args:
        queries: unit vectors [n, d].
        passages: unit vectors [m, d].
        count: how many to find for each query.

    Returns:
        For each query the row numbers of its `count` nearest passages, or of all if there are fewer.
    """
    import numpy as np

    order = np.argsort(-(queries @ passages.T), axis=1, kind="stable")[:, :count]
    return [frozenset(row.tolist()) for row in order]
