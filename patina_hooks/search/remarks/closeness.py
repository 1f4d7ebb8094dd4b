"""Whether an answer comes close to its question: a remark, and never a reason to leave a hit out.

A score says how hits compare with each other: something always is best. What is compared here is absolute.

- The best raw similarity, counted from what two random texts of this index have (0) to identity (1), so that
  the scale is that of any model.
- How much of the question the best hits say, by inverse document frequency; a word that no text says counts
  most.

Among n texts the best similarity of a question about nothing grows as sqrt(2 ln n), the maximum of n draws
from a normal distribution; so does what is asked of an answer.

`python -m benchmarks answers` holds the bounds: of questions about what never occurred at least 80 % are
remarked, of mined ones, leak-free, at most 5 % (with all-MiniLM-L6-v2 on 765 commits with 589 session
documents: 92 % of 50, none of 102).
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from patina_hooks.errors import StateError

if TYPE_CHECKING:
    from patina_hooks.plugins.manager import Plugins
    from patina_hooks.search.index.spaces import VectorSpace

LOOKED_AT: Final = 3
"""The best texts of words and of vectors, whose words are compared with the question's."""
_LEAST_TEXTS: Final = 32
"""Below it random similarities say too little, and a handful of texts is quickly read."""
_SAMPLE: Final = 64
_COVERAGE_WEIGHT: Final = 0.4
_AT_ONE: Final = -0.286
_PER_DEVIATION: Final = 0.18


@dataclass(frozen=True, slots=True)
class Closeness:
    """What an answer is judged by.

    similarity: the best raw one, None where vectors were not asked. coverage: 0 to 1. texts: how many there
    are to choose from.
    """

    similarity: float | None
    coverage: float
    texts: int

    def is_close(self, random_similarity: float | None) -> bool | None:
        """Judge the answer; None where that cannot be told.

        Args:
            random_similarity: what two random texts of the index have, None where that is not known.
        """
        if self.similarity is None or random_similarity is None or random_similarity >= 1:
            return None
        if self.texts < _LEAST_TEXTS:
            return None
        scaled = (self.similarity - random_similarity) / (1 - random_similarity)
        least = _AT_ONE + _PER_DEVIATION * math.sqrt(2 * math.log(self.texts))
        return scaled + _COVERAGE_WEIGHT * self.coverage >= least


def coverage(terms: Mapping[str, int], total: int, texts: Collection[Collection[str]]) -> float:
    """Return the greatest share of a question's terms that one of these texts says.

    Args:
        terms: the question's terms, and how many of all texts have each.
        total: how many texts there are.
        texts: the terms of each text.
    """
    weights = {term: math.log((total + 1) / (count + 1)) for term, count in terms.items()}
    whole = sum(weights.values())
    if whole <= 0:
        return 0.0
    return max(
        (sum(weights[term] for term in weights if term in text) / whole for text in texts), default=0.0
    )


def random_similarity(
    connection: sqlite3.Connection, state: Path, space: VectorSpace, plugins: Plugins
) -> float | None:
    """Return the median similarity of two texts of the index, of a sample that depends only on the texts.

    None where the embeddings are not kept, or there are too few. Raises as
    `VectorSpace.open_projection` does.
    """
    import numpy as np

    from patina_hooks.store.embeddings import read_embeddings
    from patina_hooks.store.search.answers import sample_text_keys

    sample = sample_text_keys(connection, _SAMPLE)
    try:
        keys, vectors = read_embeddings(state, space.fingerprint, sample, space.dimensions)
    except StateError:
        return None
    if len(keys) < 2:
        return None
    project = space.open_projection(plugins, state)
    vectors = project(vectors) if project else vectors
    return float(np.median((vectors @ vectors.T)[np.triu_indices(len(keys), 1)]))
