"""Whether two runtimes give one model's vectors.

The same files have one fingerprint in every runtime, so that what one of them embedded serves all: from the
cache both would find the same by construction. Here each embeds texts itself.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from patina_hooks.evaluation.comparison.process import probed
from patina_hooks.models.similarity import nearest_passages, row_cosines

if TYPE_CHECKING:
    from patina_hooks.search.index.spaces import VectorSpace
    from patina_hooks.specs.vectors import Vectors

TEXTS: Final = 200
"""How many are embedded, of the sample that speed is measured on."""

_NEIGHBOURS: Final = 10
LEAST: Final = 0.999
"""Below this cosine it is not the last digits that differ."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How near vectors come to those of another runtime that has the same files.

    to: the name of that row. least, mean: of the cosines, text by text. overlap: the mean share, 0 to 1, of
    the ten nearest texts that both find; every second text asks for the nearest of the others.
    """

    to: str
    least: float
    mean: float
    overlap: float
    texts: int

    @property
    def holds(self) -> bool:
        return self.least >= LEAST


def embedded(space: VectorSpace, texts: Sequence[str]) -> Vectors:
    """[n, d], from a process of its own and not from the cache. Raises `ModelError` as `probed` does."""
    with probed(space, texts, vectors=True) as receive:
        receive()
        encoded = receive()["vectors"]
    return np.frombuffer(b64decode(encoded), dtype="<f4").reshape(len(texts), space.dimensions)


def compare_vectors(to: str, reference: Vectors, ours: Vectors) -> Agreement:
    """theirs, ours: [n, d], of the same texts; at least one."""
    cosines = row_cosines(ours, reference)
    nearest = [nearest_passages(vectors[::2], vectors[1::2], _NEIGHBOURS) for vectors in (ours, reference)]
    shares = [len(own & expected) / len(own) for own, expected in zip(*nearest, strict=True) if own]
    return Agreement(
        to,
        least=float(cosines.min()),
        mean=float(cosines.mean()),
        overlap=sum(shares) / len(shares) if shares else 1.0,
        texts=len(ours),
    )
