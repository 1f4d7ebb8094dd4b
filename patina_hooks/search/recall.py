"""How much of the truth an approximate index finds, sampled.

Nothing of the index's own is relied on: its answers are held against a scan of the embeddings that it was
filled from.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from patina_hooks.models.cache import read_embeddings
from patina_hooks.plugins import Plugins

if TYPE_CHECKING:
    from patina_hooks.search.vectors import Space
    from patina_hooks.types import VectorIndex, Vectors

LIMIT = 10
_QUESTIONS = 32
_CHUNK = 4_096
_NEAR = 1e-4


@dataclass(frozen=True, slots=True)
class Recall:
    """found: of each question's `LIMIT` nearest neighbours, as a fraction, on average; rows: among how many
    vectors."""

    found: float
    questions: int
    rows: int


def sample_recall(plugins: Plugins, state: Path, space: Space, index: VectorIndex) -> Recall | None:
    """Ask for the neighbours of some stored texts, the same each time while the texts are; a text is not its
    own neighbour. None where there are no two vectors. Changes nothing.

    Raises `IndexDamaged` or `PluginError` as opening an index does.
    """
    import numpy as np

    keys = sorted(index.keys())
    drawn = np.random.default_rng(0).permutation(len(keys))[:_QUESTIONS]
    asked, questions = next(_stored(plugins, state, space, [keys[i] for i in sorted(drawn)]), ([], None))
    if len(keys) < 2 or questions is None or not asked:
        return None
    nearest = np.full((len(asked), LIMIT), -np.inf, np.float32)
    for some, vectors in _stored(plugins, state, space, keys):
        at = {key: row for row, key in enumerate(some)}
        scores = questions @ vectors.T
        for row, key in enumerate(asked):
            if key in at:
                scores[row, at[key]] = -np.inf
        nearest = np.sort(np.concatenate([nearest, scores], axis=1), axis=1)[:, -LIMIT:]
    shares = [
        _share(index, key, question, [float(score) for score in row if score > -np.inf])
        for key, question, row in zip(asked, questions, nearest, strict=True)
    ]
    return Recall(sum(shares) / len(shares), len(asked), len(keys))


def _share(index: VectorIndex, key: bytes, question: Vectors, true: list[float]) -> float:
    """How much of the true best is found; what ties with the last of them counts as well."""
    found = [score for one, score in index.search(question, len(true) + 1) if one != key][: len(true)]
    return sum(score > min(true) - _NEAR for score in found) / len(true)


def _stored(
    plugins: Plugins, state: Path, space: Space, keys: list[bytes]
) -> Iterator[tuple[list[bytes], Vectors]]:
    """Keys and vectors [n, d] of the space, in chunks, as embedded; what is not cached is left out."""
    project = space.open_projection(plugins, state)
    for start in range(0, len(keys), _CHUNK):
        some = keys[start : start + _CHUNK]
        found, vectors = read_embeddings(state, space.fingerprint, some, space.dimensions)
        if found:
            yield found, project(vectors) if project else vectors
