"""Indexes that look at fewer rows than the exact one: how much sooner they answer, and what they miss.

`python -m benchmarks.nearest KIND FOLDER DIMENSIONS` prints what a process holds at most that opens an
index and asks it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.rounds import child, medians, milliseconds, peak_megabytes
from benchmarks.table import Bound, Row
from benchmarks.workshop import Workshop, drawn, encoder_of, texts_of

if TYPE_CHECKING:
    from patina_hooks.search.index.segments import SegmentedIndex
    from patina_hooks.specs.vectors import Vectors

_GROUP = "the nearest vectors"
_LIMIT = 10
_QUESTIONS = 50
_ROUNDS = 40
_SHORT = 256
_ENCODED = 3_000


def measure(workshop: Workshop) -> Iterator[Row]:
    """Medians over stored vectors as questions. None of them counts as its own neighbour."""
    yield from _graphs(workshop, 100_000)
    yield from _short_ones(workshop, 100_000, 1_024, Bound(0.5))
    yield from _short_ones(workshop, 50_000, 4_096, Bound(0.25))


def _graphs(workshop: Workshop, count: int) -> Iterator[Row]:
    vectors = _between(_encoded(workshop), count)
    folder = workshop.place("graphs")
    took = milliseconds(lambda: _open("usearch", folder, vectors.shape[1]).rebuild(_keys(count), vectors))
    size = f"{count:,} x {vectors.shape[1]}, between texts"
    yield from _compared("usearch", folder, vectors, size, Bound(0.25))
    graph = sum(path.stat().st_size for path in folder.glob("*.usearch"))
    yield Row(_GROUP, "  building its graph", took / count, "ms/vector")
    yield Row(_GROUP, "  its graph on the disk", graph / count, "bytes/vector")


def _short_ones(workshop: Workshop, count: int, dimensions: int, bound: Bound) -> Iterator[Row]:
    vectors = _drawn_with_most_in_the_first(count, dimensions)
    folder = workshop.place("short")
    _open("short", folder, dimensions).rebuild(_keys(count), vectors)
    size = f"{count:,} x {dimensions:,}"
    yield from _compared("short", folder, vectors, f"{size}, drawn, by the first {_SHORT}", bound)
    ours, exact = (
        child("nearest", kind, str(folder), str(dimensions))["peak"] for kind in ("short", "exact")
    )
    yield Row(_GROUP, "  memory at most", ours, "MB", exact, "exact scan", Bound(0.5))


def _compared(kind: str, folder: Path, vectors: Vectors, size: str, bound: Bound) -> Iterator[Row]:
    """An index against the exact scan of the same files."""
    index, exact = (_open(one, folder, vectors.shape[1]) for one in (kind, "exact"))
    rows = range(0, len(vectors), len(vectors) // _QUESTIONS)
    took = medians(
        {"ours": _asking(index, vectors, rows), "exact": _asking(exact, vectors, rows)}, _ROUNDS, warm=3
    )
    yield Row(_GROUP, f"{kind}, {size}", took["ours"], "ms", took["exact"], "exact scan", bound)
    found = [_neighbours(index, vectors, row) & _neighbours(exact, vectors, row) for row in rows]
    recall = sum(map(len, found)) / len(found) / _LIMIT
    yield Row(_GROUP, f"  recall@{_LIMIT}", recall, "", bound=Bound(0.95, of="ours", least=True))


def _asking(index: SegmentedIndex[object], vectors: Vectors, rows: range) -> Callable[[], float]:
    turns = cycle(rows)
    return lambda: milliseconds(lambda: index.search(vectors[next(turns)], _LIMIT))


def _neighbours(index: SegmentedIndex[object], vectors: Vectors, row: int) -> set[bytes]:
    found = [key for key, _ in index.search(vectors[row], _LIMIT + 1)]
    return set([key for key in found if key != row.to_bytes(16, "big")][:_LIMIT])


def _open(kind: str, folder: Path, dimensions: int) -> SegmentedIndex[object]:
    """The same segments, opened as each kind of index: a sidecar is skipped by those that have none."""
    from patina_usearch.index import GraphIndex

    from patina_hooks.search.index.exact import ExactIndex
    from patina_hooks.search.index.short import ShortIndex

    fingerprint = "benchmark"
    kinds: dict[str, Callable[[], object]] = {
        "exact": lambda: ExactIndex(folder, dimensions, f"{fingerprint} {_SHORT}"),
        "short": lambda: ShortIndex(folder, dimensions, fingerprint, short=_SHORT),
        "usearch": lambda: GraphIndex(folder, dimensions, f"{fingerprint} {_SHORT}"),
    }
    index: SegmentedIndex[object] = kinds[kind]()  # type: ignore[assignment]
    return index


def _keys(count: int) -> list[bytes]:
    return [number.to_bytes(16, "big") for number in range(count)]


def _encoded(workshop: Workshop) -> Vectors:
    """Unit vectors [n, d] of texts of the history, by the default model."""
    from patina_hooks.plugins.manager import Plugins

    return encoder_of(Plugins.load()).encode(texts_of(workshop.history, _ENCODED), role="passage").vectors


def _between(real: Vectors, count: int) -> Vectors:
    """Unit vectors [count, d] that lie as a model's do: each between those of two texts."""
    import numpy as np

    random = np.random.default_rng(0)
    one, other = random.integers(0, len(real), (2, count))
    noise = random.standard_normal((count, real.shape[1]), dtype=np.float32)
    return _unit(real[one] + 0.6 * real[other] + 0.02 * noise)


def _drawn_with_most_in_the_first(count: int, dimensions: int) -> Vectors:
    """Unit vectors [count, dimensions] around 500 topics, whose dimensions matter less and less, as those of
    a Matryoshka model do. Such a model weighs gigabytes: this shows cost, and recall on what is made up."""
    import numpy as np

    random = np.random.default_rng(0)
    topics = random.standard_normal((500, dimensions), dtype=np.float32)
    vectors = random.standard_normal((count, dimensions), dtype=np.float32)
    vectors += topics[random.integers(0, len(topics), count)]
    vectors /= np.sqrt(1 + np.arange(dimensions, dtype=np.float32))
    return _unit(vectors)


def _unit(vectors: Vectors) -> Vectors:
    import numpy as np

    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def _peak(kind: str, folder: Path, dimensions: int) -> float:
    index = _open(kind, folder, dimensions)
    for question in drawn(20, dimensions):
        index.search(question, _LIMIT)
    return peak_megabytes()


if __name__ == "__main__":
    print(json.dumps({"peak": _peak(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))}))
