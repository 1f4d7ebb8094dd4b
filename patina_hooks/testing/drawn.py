"""Rows for checks of an index: drawn at random, the same each time, and like what models give."""

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
    """A 16-byte key; every seventh ends in NUL bytes, which byte strings of numpy's drop."""
    digest = blake2b(number.to_bytes(8, "little"), digest_size=16).digest()
    return digest[:8] + bytes(8) if number % 7 == 0 else digest


def drawn(numbers: range, dimensions: int, seed: int = 0) -> Rows:
    """Unit vectors [dimensions] by key: around topics, and with most of their weight in the first dimensions,
    as a Matryoshka model has it."""
    import numpy as np

    weights = 1 / np.sqrt(1 + np.arange(dimensions))
    topics = np.random.default_rng(0).standard_normal((_TOPICS, dimensions))
    rows = {}
    for number in numbers:
        own = np.random.default_rng([seed, number]).standard_normal(dimensions)
        vector = (topics[(number + seed) % _TOPICS] + own) * weights
        rows[key(number)] = (vector / np.linalg.norm(vector)).astype(np.float32)
    return rows


def arrays(rows: Mapping[bytes, Vectors], dimensions: int = 1) -> tuple[list[bytes], Vectors]:
    """Keys and vectors [n, d] as an index takes them; dimensions: d where there are no rows."""
    import numpy as np

    empty = np.empty((0, dimensions), np.float32)
    return list(rows), np.stack(list(rows.values())) if rows else empty


def questions(rows: Rows) -> list[Vectors]:
    """Some of the rows' vectors, each a little off, so that none is found by being the same."""
    import numpy as np

    chosen = list(rows.values())[:: max(1, len(rows) // _QUESTIONS)][:_QUESTIONS]
    noise = np.random.default_rng(3).standard_normal((len(chosen), len(chosen[0])))
    moved = np.asarray(chosen) + 0.01 * noise
    unit = (moved / np.linalg.norm(moved, axis=1, keepdims=True)).astype(np.float32)
    return list(unit)
