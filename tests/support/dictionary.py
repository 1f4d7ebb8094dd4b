"""An index beside a dictionary: the same is done to both, and both must hold the same."""

from __future__ import annotations

import shutil
import tempfile
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from patina_hooks.specs.vectors import VectorIndex

DIMENSIONS = 4
# Some keys end in NUL bytes: a byte string of numpy's drops them.
KEYS = [bytes([n]) + bytes(15) for n in range(16)] + [b"\0" * 15 + bytes([n]) for n in range(1, 17)]
# Eighths: products and sums are exact, whichever rows share a file.
VECTOR = st.lists(st.integers(-8, 8), min_size=DIMENSIONS, max_size=DIMENSIONS).map(
    lambda values: tuple(value / 8 for value in values)
)
ROWS = st.dictionaries(st.sampled_from(KEYS), VECTOR, max_size=12)
ALLOWED = st.none() | st.frozensets(st.sampled_from([*KEYS, b"never stored here"[:16]]))
SETTINGS = settings(
    max_examples=40, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
Row = tuple[float, ...]
Answer = list[tuple[bytes, float]]


class LikeADictionary(RuleBasedStateMachine):
    """To be derived from: how the index is opened, and what a search must agree with."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="patina-test-"))
        self.index = self.opener(self.folder)
        self.model: dict[bytes, Row] = {}
        self.generation = 0

    @abstractmethod
    def opener(self, folder: Path) -> VectorIndex: ...

    @abstractmethod
    def agrees(self, query: Row, limit: int, allowed: frozenset[bytes] | None) -> None: ...

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @rule(rows=ROWS)
    def upsert(self, rows: dict[bytes, Row]) -> None:
        upsert(self.index, rows)
        self.model.update(rows)

    @rule(keys=st.lists(st.sampled_from(KEYS), max_size=6))
    def remove(self, keys: list[bytes]) -> None:
        self.index.remove(keys)
        for key in keys:
            self.model.pop(key, None)

    @rule(rows=ROWS)
    def rebuild(self, rows: dict[bytes, Row]) -> None:
        rebuild(self.index, rows)
        self.model = dict(rows)

    @rule()
    def reopen(self) -> None:
        self.index = self.opener(self.folder)

    @rule(query=VECTOR, limit=st.integers(0, 20), allowed=ALLOWED)
    def search(self, query: Row, limit: int, allowed: frozenset[bytes] | None) -> None:
        self.agrees(query, limit, allowed)

    @invariant()
    def what_it_says_of_itself(self) -> None:
        stats = self.index.stats()
        files = [path for path in self.folder.iterdir() if path.name != "manifest.json"]
        assert self.index.keys() == self.model.keys()
        assert stats.rows == len(self.model)
        assert (stats.files, stats.bytes) == (len(files), sum(path.stat().st_size for path in files))
        assert stats.generation >= self.generation
        self.generation = stats.generation
        self.index.verify()


def upsert(index: VectorIndex, rows: Mapping[bytes, Row]) -> None:
    index.upsert(list(rows), np.array(list(rows.values()), np.float32).reshape(len(rows), DIMENSIONS))


def rebuild(index: VectorIndex, rows: Mapping[bytes, Row]) -> None:
    index.rebuild(list(rows), np.array(list(rows.values()), np.float32).reshape(len(rows), DIMENSIONS))


def expected(model: Mapping[bytes, Row], query: Row, limit: int, allowed: frozenset[bytes] | None) -> Answer:
    scores = [
        (key, round(sum(a * b for a, b in zip(row, query, strict=True)), 5))
        for key, row in model.items()
        if allowed is None or key in allowed
    ]
    return sorted(scores, key=lambda pair: (-pair[1], pair[0]))[:limit]


def found(index: VectorIndex, query: Row, limit: int, allowed: frozenset[bytes] | None = None) -> Answer:
    hits = index.search(np.array(query, np.float32), limit, allowed)
    return [(key, round(score, 5)) for key, score in hits]


def is_scored_exactly(
    model: Mapping[bytes, Row], query: Row, limit: int, allowed: frozenset[bytes] | None, answer: Answer
) -> bool:
    """Whether an answer has as many as there should be, each there and allowed, with its score, in order."""
    every = expected(model, query, len(model), allowed)
    in_order = answer == sorted(answer, key=lambda pair: (-pair[1], pair[0]))
    many = min(limit, len(every))
    return in_order and set(answer) <= set(every) and len(set(answer)) == len(answer) == many
