"""Random rows for checks of an index: the same on each run, and distributed like those of models."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from patina_hooks.specs.vectors import Vectors

    Rows = dict[bytes, Vectors]

_TOPICS = 40
_QUESTIONS = 20


def key(number: int) -> bytes:
    """Make a key of 16 bytes; every seventh ends in NUL bytes, which byte strings of numpy drop."""
    digest = blake2b(number.to_bytes(8, "little"), digest_size=16).digest()
    return digest[:8] + bytes(8) if number % 7 == 0 else digest


def draw_rows(numbers: range, dimensions: int, seed: int = 0) -> Rows:
    """Draw unit vectors [dimensions] by key.

    They lie around topics, with most of their weight in the first dimensions, as in a Matryoshka model.
    """
    import numpy as np

    weights = 1 / np.sqrt(1 + np.arange(dimensions))
    topics = np.random.default_rng(0).standard_normal((_TOPICS, dimensions))
    rows = {}
    for number in numbers:
        own = np.random.default_rng([seed, number]).standard_normal(dimensions)
        vector = (topics[(number + seed) % _TOPICS] + own) * weights
        rows[key(number)] = (vector / np.linalg.norm(vector)).astype(np.float32)
    return rows


def to_arrays(rows: Mapping[bytes, Vectors], dimensions: int = 1) -> tuple[list[bytes], Vectors]:
    """Return keys and vectors [n, d] as an index takes them.

    Args:
        rows: vectors by key.
        dimensions: d if there are no rows.
    """
    import numpy as np

    empty = np.empty((0, dimensions), np.float32)
    return list(rows), np.stack(list(rows.values())) if rows else empty


def draw_questions(rows: Rows) -> list[Vectors]:
    """Return some of the rows' vectors with noise, so that none equals its row."""
    import numpy as np

    chosen = list(rows.values())[:: max(1, len(rows) // _QUESTIONS)][:_QUESTIONS]
    noise = np.random.default_rng(3).standard_normal((len(chosen), len(chosen[0])))
    moved = np.asarray(chosen) + 0.01 * noise
    unit = (moved / np.linalg.norm(moved, axis=1, keepdims=True)).astype(np.float32)
    return list(unit)
