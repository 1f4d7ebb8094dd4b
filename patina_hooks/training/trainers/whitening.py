"""PCA whitening: scale the principal directions of a repository's texts more evenly.

With the covariance of all rows C = V diag(l) V^T, l descending: u = (x - mean) V diag(l)^(-power / 2), cut
to the first `out` directions, and y = u / |u|. Power 1 is full whitening (every direction has the same
variance), power 0 a rotation that only cuts. There are no iterations and no random numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from patina_hooks.projection.weights import describe_weights
from patina_hooks.specs.training import TooLittleToLearn, Trained, TrainingTask, Watch

if TYPE_CHECKING:
    from patina_hooks.specs.vectors import Vectors

_BLOCK = 1024
_NOISE = 1e-9
"""Directions below this share of the largest variance are rounding errors (vectors are stored as float16)."""


def train(task: TrainingTask, watch: Watch) -> Trained:
    """Fit on every row of the task; the pairs are not used.

    Raises:
        TooLittleToLearn: all rows are equal.
    """
    mean, components = fit(task.vectors, task.settings.out, task.settings.power)
    weights = {"mean": mean, "components": components}
    return Trained(weights, describe_weights("whitening", weights) | {"power": f"{task.settings.power:g}"})


def fit(vectors: Vectors, out: int, power: float) -> tuple[Vectors, Vectors]:
    """Compute the mean [d] and the scaled directions [k, d] of rows [n, d]; k = min(out, rank).

    After it, the fitted rows have a mean square length of 1.

    Raises:
        TooLittleToLearn: all rows are equal.
    """
    mean, covariance = _moments(vectors)
    values, directions = np.linalg.eigh(covariance)
    values, directions = values[::-1], directions.T[::-1]
    if values[0] < _NOISE:  # the rows are of length 1
        raise TooLittleToLearn(f"cannot whiten {len(vectors)} texts that are all equal")
    count = min(out, int(np.count_nonzero(values > values[0] * _NOISE)))
    values, directions = values[:count], directions[:count]
    # An eigenvector is only known up to its sign: the largest entry is made positive.
    largest = np.take_along_axis(directions, np.abs(directions).argmax(axis=1)[:, None], axis=1)
    length = np.sqrt(np.sum(values ** (1 - power)))
    components = directions * np.sign(largest) * (values ** (-power / 2) / length)[:, None]
    return mean.astype(np.float32), np.ascontiguousarray(components, np.float32)


def _moments(vectors: Vectors) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute mean [d] and covariance [d, d] in float64, in blocks to limit memory."""
    dimensions = vectors.shape[1]
    total, products = np.zeros(dimensions), np.zeros((dimensions, dimensions))
    for start in range(0, len(vectors), _BLOCK):
        rows = vectors[start : start + _BLOCK].astype(np.float64)
        total += rows.sum(axis=0)
        products += rows.T @ rows
    count = max(len(vectors), 1)
    mean = total / count
    return mean, products / count - np.outer(mean, mean)
