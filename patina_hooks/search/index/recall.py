"""How much of the truth an approximate index finds, sampled.

Nothing of the index's own is relied on: its answers are held against a scan of the embeddings that it was
filled from.
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
    """found: of each question's `LIMIT` nearest neighbours, as a fraction, on average; rows: among how many
    vectors."""

    found: float
    questions: int
    rows: int


def sample_recall(plugins: Plugins, state: Path, space: VectorSpace, index: VectorIndex) -> Recall | None:
    """Ask for the neighbours of some stored texts, the same each time while the texts are; a text is not its
    own neighbour. None where there are no two vectors. Changes nothing.

    Raises `StateError` where embeddings cannot be read or are not kept any more: against fewer than all, an
    index would look better than it is. `IndexDamaged` or `PluginError` as opening an index does.
    """
    import numpy as np

    keys = sorted(index.keys())
    if len(keys) < 2:
        return None
    drawn = np.random.default_rng(0).permutation(len(keys))[:_QUESTIONS]
    asked = [keys[i] for i in sorted(drawn)]
    project = space.open_projection(plugins, state)
    questions = _embedded(state, space, project, asked)
    nearest = np.full((len(asked), LIMIT), -np.inf, np.float32)
    for start in range(0, len(keys), _CHUNK):
        some = keys[start : start + _CHUNK]
        at = {key: row for row, key in enumerate(some)}
        scores = questions @ _embedded(state, space, project, some).T
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


def _embedded(state: Path, space: VectorSpace, project: Project | None, keys: list[bytes]) -> Vectors:
    """Their vectors [n, d] of the space, as embedded. Raises `StateError` where one is not kept."""
    found, vectors = read_embeddings(state, space.fingerprint, keys, space.dimensions)
    if len(found) < len(keys):
        what = f"{state / CACHE_FILE} does not hold every text that the index does"
        raise StateError(what, hint="patina sync --full")
    return project(vectors) if project else vectors
