"""Questions to a memory that is open: the whole answer, against a bare scan and a bare full-text query."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import cycle
from pathlib import Path

from benchmarks.rounds import medians, milliseconds
from benchmarks.table import Bound, Row
from benchmarks.workshop import QUERIES, Workshop, drawn, encoder_of, opened

_ROUNDS = 15 * len(QUERIES)
_GROUP = "a question, warm"


def measure(workshop: Workshop) -> Iterator[Row]:
    """Median over typical questions, each several times."""
    yield from _questions(workshop.shorter, Bound(10, of="ours"))
    yield from _questions(workshop.history, None)
    yield from _questions(workshop.longer, Bound(60, of="ours"))


def _questions(root: Path, bound: Bound | None) -> Iterator[Row]:
    with opened(root) as patina:
        count = patina.status().observations
        encoder = encoder_of(patina.plugins)
        with closing(sqlite3.connect(patina.repository.state / "log.db")) as connection:
            took = medians(
                {
                    "hybrid": _asking(lambda query: patina.search(query, on_fault=_fail)),
                    "lexical": _asking(lambda query: patina.search(query, mode="lexical")),
                    "encoding": _asking(lambda query: encoder.encode([query], role="query")),
                    "bare": _asking(_bare(connection, count)),
                },
                _ROUNDS,
                warm=len(QUERIES),
            )
    bare = "numpy product + FTS5, no model"
    what = f"hybrid, {count:,} observations"
    yield Row(_GROUP, what, took["hybrid"], "ms", took["bare"], bare, bound)
    yield Row(_GROUP, "  of which encoding the question", took["encoding"], "ms")
    yield Row(_GROUP, f"lexical, {count:,} observations", took["lexical"], "ms", took["bare"], bare)


def _fail(why: str) -> None:
    raise RuntimeError(why)  # words alone would look fast


def _asking(ask: Callable[[str], object]) -> Callable[[], float]:
    queries = cycle(QUERIES)
    return lambda: milliseconds(lambda: ask(next(queries)))


def _bare(connection: sqlite3.Connection, count: int) -> Callable[[str], object]:
    """The least that finds the same candidates: a product with all vectors, and all words by BM25."""
    import numpy as np

    vectors = drawn(count, 384)

    def ask(query: str) -> object:
        # `@` would start threads that go on spinning in the others' turns.
        scores = np.einsum("ij,j->i", vectors, vectors[0])
        near = np.argpartition(scores, -200)[-200:]
        match = " OR ".join(query.split())
        words = connection.execute(
            "SELECT rowid FROM observation_words WHERE observation_words MATCH ? ORDER BY rank LIMIT 200",
            (match,),
        ).fetchall()
        return near, words

    return ask
