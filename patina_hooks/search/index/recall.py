"""The sampled recall of an approximate index.

Its results are compared with a scan of the embeddings that it was filled from.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from patina_hooks.errors import StateError
from patina_hooks.plugins.manager import Plugins
from patina_hooks.store.embeddings import CACHE_FILE, read_embeddings

if TYPE_CHECKING:
    from patina_hooks.search.index.spaces import Project, VectorSpace
    from patina_hooks.specs.vectors import VectorIndex, Vectors

LIMIT = 10
_QUESTIONS = 32
_CHUNK = 4_096
_NEAR = 1e-4


@dataclass(frozen=True, slots=True)
class Recall:
    """The sampled recall of an index.

    share: of the `LIMIT` nearest neighbours that it finds, on average.
    questions: the number of sampled queries.
    rows: the number of vectors.
    """

    share: float
    questions: int
    rows: int


def sample_recall(plugins: Plugins, state: Path, space: VectorSpace, index: VectorIndex) -> Recall | None:
    """Search the neighbours of a sample of stored texts, None with fewer than two vectors.

    The same texts have the same sample. A text is not its own neighbour. Nothing is changed.

    Raises `StateError` where embeddings cannot be read or are not kept any more: against fewer than all, an
    index would look better than it is. `IndexDamaged` or `PluginError` as opening an index does.
    """
    import numpy as np

    keys = sorted(index.keys())
    if len(keys) < 2:
        return None
    drawn = np.random.default_rng(0).permutation(len(keys))[:_QUESTIONS]
    queries = [keys[i] for i in sorted(drawn)]
    project = space.open_projection(plugins, state)
    questions = _embedded(state, space, project, queries)
    nearest = np.full((len(queries), LIMIT), -np.inf, np.float32)
    for start in range(0, len(keys), _CHUNK):
        some = keys[start : start + _CHUNK]
        at = {key: row for row, key in enumerate(some)}
        scores = questions @ _embedded(state, space, project, some).T
        for row, key in enumerate(queries):
            if key in at:
                scores[row, at[key]] = -np.inf
        nearest = np.sort(np.concatenate([nearest, scores], axis=1), axis=1)[:, -LIMIT:]
    shares = [
        _share(index, key, question, [float(score) for score in row if score > -np.inf])
        for key, question, row in zip(queries, questions, nearest, strict=True)
    ]
    return Recall(sum(shares) / len(shares), len(queries), len(keys))


def _share(index: VectorIndex, key: bytes, question: Vectors, true: list[float]) -> float:
    """Return the share of true neighbours that the index finds; ties with the last one count."""
    scores = [score for neighbour, score in index.search(question, len(true) + 1) if neighbour != key][
        : len(true)
    ]
    return sum(score > min(true) - _NEAR for score in scores) / len(true)


def _embedded(state: Path, space: VectorSpace, project: Project | None, keys: list[bytes]) -> Vectors:
    """Read the vectors [n, d] of keys in the space. Raises `StateError` if one is missing."""
    embedded, vectors = read_embeddings(state, space.fingerprint, keys, space.dimensions)
    if len(embedded) < len(keys):
        message = f"{state / CACHE_FILE} does not hold every text that the index does"
        raise StateError(message, hint="patina sync --full")
    return project(vectors) if project else vectors
