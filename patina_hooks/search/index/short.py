"""The index for long vectors: short vectors select the rows that are scored by their long vectors.

A Matryoshka model packs most information into the first dimensions. The sidecar of each segment has the first
few of every row, at unit length, and a search scans only those; the best few hundred rows are scored by their
whole vectors. So a query reads a fraction of the file, and every score is exact.

The selected rows depend only on the vectors and the query, not on the order of writes: the same rows give the
same answers.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from patina_hooks.search.index.exact import best_keys, inner, rank_keys, scan
from patina_hooks.search.index.segments import SegmentedIndex, SegmentView

if TYPE_CHECKING:
    from patina_hooks.specs.vectors import Keys, Vectors

_TIMES = 4
"""How many rows are scored by their whole vectors for each requested one."""


class ShortIndex(SegmentedIndex["Vectors"]):
    """A `VectorIndex` of unit vectors whose first `short` dimensions are Matryoshka vectors.

    A sidecar is rows x short float32, little-endian.

    least: the fewest rows that are scored by their whole vectors. With the first quarter of MiniLM's
    dimensions, which it was not trained for, 400 of 100,000 rows contain 98.7 % of the true best ten; with a
    quarter of its principal components, which Matryoshka training resembles, 99.9 %.
    """

    suffix = ".short"

    def __init__(
        self, folder: Path, dimensions: int, fingerprint: str, *, short: int, least: int = 400
    ) -> None:
        """Open an index. Raises `IndexDamaged` if manifest or files were altered."""
        self._short, self._least = short, least
        super().__init__(folder, dimensions, f"{fingerprint} {short}")

    def search(
        self, query: Vectors, limit: int, allowed: frozenset[bytes] | None = None
    ) -> list[tuple[bytes, float]]:
        views, most = self._segment_views(allowed), max(self._least, _TIMES * limit)
        if sum(int(view.usable.sum()) for view in views) <= most:
            return rank_keys([pair for view in views for pair in scan(view, query, limit)], limit)
        head = _unit(query[np.newaxis, : self._short])[0]
        scores_by_view = [np.where(view.usable, inner(_head(view), head), -np.inf) for view in views]
        border = np.partition(np.concatenate(scores_by_view), -most)[-most]
        rows = [np.flatnonzero(scores >= border) for scores in scores_by_view]
        scored = [
            pair
            for view, positions in zip(views, rows, strict=True)
            for pair in best_keys(view, positions, inner(view.few(positions), query), limit)
        ]
        return rank_keys(scored, limit)

    def _is_due(self, rows: int, alive: int) -> bool:
        return True

    def _make_sidecar(self, keys: Keys, vectors: Vectors) -> bytes:
        return _unit(vectors[:, : self._short]).astype("<f4").tobytes()

    def _map_sidecar(self, path: Path, rows: int) -> Vectors:
        return np.memmap(path, "<f4", "r", shape=(rows, self._short))


def _head(view: SegmentView[Vectors]) -> Vectors:
    """Return the short vectors [n, short] of a segment."""
    assert view.sidecar is not None  # noqa: S101 (every segment has them)
    return view.sidecar


def _unit(vectors: Vectors) -> Vectors:
    """Scale each row [n, d] to unit length; a zero row stays zero."""
    norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, np.newaxis]
    return np.asarray(vectors / np.where(norms == 0, 1, norms), np.float32)
