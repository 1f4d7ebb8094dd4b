"""The index for long vectors: the short ones of all rows say which are worth the long ones.

A Matryoshka model packs what matters most into the first dimensions. Beside each segment lie the first few
of every row, at unit length, and a search scans those alone; the best few hundred are scored by their whole
vectors, read where they lie. So a question touches a fraction of the file, and every score is exact.

Which rows are looked at follows from the vectors and the question alone, not from how the rows came to be
there: the same rows give the same answers.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from patina_hooks.search.index.exact import best, inner, ranked, scan
from patina_hooks.search.index.segments import Piece, SegmentedIndex

if TYPE_CHECKING:
    from patina_hooks.specs.vectors import Keys, Vectors

_TIMES = 4
"""How many rows are scored by their whole vectors for each that is asked for."""


class ShortIndex(SegmentedIndex["Vectors"]):
    """A `VectorIndex` over unit vectors whose first `short` dimensions are Matryoshka vectors themselves.

    A companion is rows x short float32, little-endian.

    least: how many rows are scored by their whole vectors, at least. By the first quarter of MiniLM's
    dimensions, which it was not even trained for, 400 of 100,000 rows hold 98.7 % of the true best ten; by a
    quarter of its principal components, which is what Matryoshka training is like, 99.9 %.
    """

    suffix = ".short"

    def __init__(
        self, folder: Path, dimensions: int, fingerprint: str, *, short: int, least: int = 400
    ) -> None:
        """Raises `IndexDamaged` where manifest or files are not what was written."""
        self._short, self._least = short, least
        super().__init__(folder, dimensions, f"{fingerprint} {short}")

    def search(
        self, query: Vectors, limit: int, allowed: frozenset[bytes] | None = None
    ) -> list[tuple[bytes, float]]:
        pieces, most = self._pieces(allowed), max(self._least, _TIMES * limit)
        if sum(int(piece.usable.sum()) for piece in pieces) <= most:
            return ranked([pair for piece in pieces for pair in scan(piece, query, limit)], limit)
        head = _unit(query[np.newaxis, : self._short])[0]
        near = [np.where(piece.usable, inner(_head(piece), head), -np.inf) for piece in pieces]
        border = np.partition(np.concatenate(near), -most)[-most]
        rows = [np.flatnonzero(scores >= border) for scores in near]
        found = [
            pair
            for piece, at in zip(pieces, rows, strict=True)
            for pair in best(piece, at, inner(piece.few(at), query), limit)
        ]
        return ranked(found, limit)

    def _is_due(self, rows: int, alive: int) -> bool:
        return True

    def _make_companion(self, keys: Keys, vectors: Vectors) -> bytes:
        return _unit(vectors[:, : self._short]).astype("<f4").tobytes()

    def _map_companion(self, path: Path, rows: int) -> Vectors:
        return np.memmap(path, "<f4", "r", shape=(rows, self._short))


def _head(piece: Piece[Vectors]) -> Vectors:
    """The short vectors [n, short] of a piece."""
    assert piece.companion is not None  # noqa: S101 (every segment has them)
    return piece.companion


def _unit(vectors: Vectors) -> Vectors:
    """Each row [n, d] at unit length; a zero row stays zero."""
    norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, np.newaxis]
    return np.asarray(vectors / np.where(norms == 0, 1, norms), np.float32)
