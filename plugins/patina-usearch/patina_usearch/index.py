"""The index "usearch": HNSW graphs propose rows, and their whole vectors score them.

From 50,000 vectors on, a segment of 10,000 rows has a graph next to it (HNSW, Malkov and Yashunin,
arXiv:1603.09320, by usearch). Small segments, which is what was written lately, are scanned exactly until
enough of them have come together to be merged into one that is worth a graph; rows that were removed or
replaced are dead until then. A segment with a graph is not merged again, and none has more than 20,000 rows:
so a row is put into a graph about once, and no write waits long for one. Below 50,000 vectors no graph is
asked, and this is the exact index.

- Every score is the exact scan's: a graph only says which rows are worth a look. What it may do is miss one.
- A graph follows from its segment alone: rows in the order of their keys, added by one thread, levels drawn
  from usearch's fixed seed. It is int8, which takes half the file and time of float16 and, scored by whole
  vectors, finds as much; and products of integers do not depend on the processor's way of adding.
- Of rows whose int8 values are the same the graph holds the first; with it go the others, which are listed
  behind the graph in its file. In the graph, some hundred would all be each other's neighbours, and what lies
  near them would have no way in.
- Which rows share a segment follows from how they came to be there, and so does which of them a graph
  misses. Two indexes of the same vectors agree on every score, and mostly, not surely, on all rows.
- A graph is opened only if this user's machine wrote it (see `seal.py`), and usearch can read it. Otherwise
  the segment is scanned until the next write builds its graph again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from patina_hooks.authoring import ScoredKeys, SegmentedIndex, SegmentView, rank_keys, scan, score
from patina_usearch.library import Index
from patina_usearch.seal import is_sealed, load_key, seal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from patina_hooks.authoring import Keys, Rows, SidecarFile, Vectors

    Codes = NDArray[np.int8]

_MOST_BUILT = 20_000
"""Rows that an opened index builds graphs for: about 5 s, under the lock."""
_LINKS, _LOOKED_AT_TO_ADD = 16, 128
_CHUNK = 4_096
_LEAST_PROPOSALS, _SLACK = 12, 1.2
_TIMES = 2
"""How many rows a graph proposes for each that is asked for."""


@dataclass(frozen=True, slots=True)
class Graph:
    """An opened sidecar file.

    index: the distinct rows, by row number.
    duplicates: [m] rows that are not in the index.
    first: [m] for each of those the row in the index that has the same values.
    """

    index: Index
    first: Rows
    duplicates: Rows

    def nearest(self, query: Vectors, most: int) -> Rows:
        """Return at most `most` distinct nearest rows that the graph finds, and their duplicates."""
        matches = self.index.search(_codes(query[np.newaxis])[0], most, threads=1)
        rows = np.asarray(matches.keys, np.intp)
        if not len(self.duplicates):
            return rows
        return np.concatenate([rows, self.duplicates[np.isin(self.first, rows)]])


class GraphIndex(SegmentedIndex[Graph]):
    """A `VectorIndex` over unit vectors.

    least: vectors from which on graphs are used; segment_rows: rows from which on a segment has one; most:
    rows that a segment has at most; proposals: how many rows all graphs together propose, at least.
    """

    suffix = ".usearch"

    def __init__(
        self,
        folder: Path,
        dimensions: int,
        fingerprint: str,
        *,
        least: int = 50_000,
        segment_rows: int = 10_000,
        most: int = 20_000,
        proposals: int = 200,
    ) -> None:
        """Open an index.

        Raises:
            IndexDamaged: manifest or files are not what was written.
        """
        self._least, self._segment_rows, self._proposals = least, segment_rows, proposals
        self.most_rows = most
        self._left_to_build = _MOST_BUILT
        super().__init__(folder, dimensions, fingerprint)

    def rebuild(self, keys: Sequence[bytes], vectors: Vectors) -> None:
        self._left_to_build = len(keys)
        super().rebuild(keys, vectors)

    def tend(self) -> bool:
        """Build graphs that are due and were put off; tell whether more can be built.

        An opened index builds those of 20,000 rows at most: the caller releases the lock in between.
        """
        if not self._lacks_graphs():
            return False
        self._replace_segments(list(self._manifest.segments))
        return self._lacks_graphs() and load_key() is not None

    def search(
        self, query: Vectors, limit: int, allowed: frozenset[bytes] | None = None
    ) -> list[tuple[bytes, float]]:
        look = self._near if self._alive >= self._least else scan
        return rank_keys(
            [pair for view in self._segment_views(allowed) for pair in look(view, query, limit)], limit
        )

    def _near(self, view: SegmentView[Graph], query: Vectors, limit: int) -> ScoredKeys:
        """Return the best proposals of the graph, or of all rows where it would propose many of them."""
        rows, usable = len(view.usable), int(view.usable.sum())
        # Rows are distributed over segments almost at random: each has about its share of the nearest.
        share = rows / sum(segment.rows for segment in self._manifest.segments)
        proposals = max(self._proposals, _TIMES * limit)
        expected = min(proposals, int(_SLACK * proposals * share) + _LEAST_PROPOSALS)
        # usearch has no filter: more rows are requested, to replace those that the filter drops.
        most = expected * rows // max(usable, 1)
        if view.sidecar is None or most > rows // 8:
            return scan(view, query, limit)
        proposed = view.sidecar.nearest(query, most)
        proposed = proposed[view.usable[proposed]]
        if len(proposed) < min(limit, int(limit * share) + 1, usable):
            return scan(view, query, limit)
        return score(view, proposed, query, limit)

    def _lacks_graphs(self) -> bool:
        return any(
            segment.sidecar is None and self._is_large(segment.rows, self._alive)
            for segment in self._manifest.segments
        )

    def _is_large(self, rows: int, alive: int) -> bool:
        return alive >= self._least and rows >= self._segment_rows

    def _is_due(self, rows: int, alive: int) -> bool:
        # Without a key nothing would open the graph.
        return self._is_large(rows, alive) and rows <= self._left_to_build and load_key() is not None

    def _trust_sidecar(self, sidecar: SidecarFile) -> SidecarFile | None:
        key = load_key()
        if key is None or not is_sealed(sidecar, key):
            return None
        trusted = super()._trust_sidecar(sidecar)
        return trusted and seal(trusted, key)

    def _seal(self, sidecar: SidecarFile) -> SidecarFile:
        key = load_key()
        return seal(sidecar, key) if key else sidecar

    def _make_sidecar(self, keys: Keys, vectors: Vectors) -> bytes | bytearray:
        self._left_to_build -= len(keys)
        codes = _codes(vectors)
        first = _first_of_equals(codes)
        differ = first == np.arange(len(codes))
        graph = self._graph()
        # One thread: with two, the same rows make another graph each time.
        graph.add(np.flatnonzero(differ), codes if differ.all() else codes[differ], threads=1)
        duplicates = np.stack([first[~differ], np.flatnonzero(~differ)]).astype("<u4")
        data = graph.save() or b""
        data += duplicates.tobytes()
        return data

    def _map_sidecar(self, path: Path, rows: int) -> Graph | None:
        """Return None for a graph in the format of another usearch."""
        try:
            return self._view(path, rows)
        except (OSError, ValueError, RuntimeError):
            return None

    def _view(self, path: Path, rows: int) -> Graph:
        graph = self._graph()
        graph.view(path)
        many = rows - len(graph)
        if many < 0:
            raise ValueError(f"it has {len(graph)} rows, not {rows}")
        duplicates = np.fromfile(path, "<u4", offset=path.stat().st_size - 2 * 4 * many).reshape(2, many)
        return Graph(graph, *duplicates.astype(np.intp))

    def _graph(self) -> Index:
        return Index(
            ndim=self._dimensions, metric="cos", dtype="i8", connectivity=_LINKS,
            expansion_add=_LOOKED_AT_TO_ADD, enable_key_lookups=False,
        )  # fmt: skip


def _first_of_equals(codes: Codes) -> Rows:
    """Return for each row [n, d] the first row with the same values, which may be itself."""
    first_rows: dict[bytes, int] = {}
    hashes = (blake2b(row, digest_size=16).digest() for row in codes)
    return np.fromiter(
        (first_rows.setdefault(digest, at) for at, digest in enumerate(hashes)), np.intp, len(codes)
    )


def _codes(vectors: Vectors) -> Codes:
    """Quantise rows [n, d] to int8, each scaled by its own largest value.

    The scale does not change the cosine, and long vectors, whose values are small, keep as many steps as
    short ones.
    """
    codes = np.empty(vectors.shape, np.int8)
    for at in range(0, len(vectors), _CHUNK):  # whole, the steps between would be twice the segment
        some = vectors[at : at + _CHUNK]
        largest = np.abs(some).max(axis=1, keepdims=True)
        codes[at : at + _CHUNK] = np.rint(some * (127 / np.where(largest == 0, 1, largest)))
    return codes
