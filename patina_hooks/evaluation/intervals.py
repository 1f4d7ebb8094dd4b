"""How sure a mean is: bootstrap intervals over clusters.

Questions that come from one session resemble each other, so that thirty questions of three sessions tell
little more than three. Whole sessions are therefore drawn, with replacement, as many as there are, 2,000
times; the middle 95 % of the means that come out are the interval (percentile bootstrap; Efron and
Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = NDArray[np.float64]

FEWEST: Final = 10
"""Clusters below which an interval would claim what it cannot know."""

_DRAWS: Final = 2_000
_AT_ONCE: Final = 2_000_000  # counts in memory
_SEED: Final = 0


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean, or a mean difference, over n questions, with the ends of its 95 % interval.

    low, high: None where there are fewer than ten clusters.
    """

    value: float
    low: float | None
    high: float | None
    n: int

    @property
    def is_above_zero(self) -> bool:
        """Whether the whole interval is."""
        return self.low is not None and self.low > 0

    @property
    def is_below_zero(self) -> bool:
        return self.high is not None and self.high < 0


def interval(values: Mapping[str, Sequence[float]], clusters: Mapping[str, Sequence[str]]) -> Interval:
    """The mean over sets of each set's mean: every set weighs the same, however many questions it has.

    values: set -> one number a question; clusters: set -> the cluster of each of them. A cluster that is
    drawn brings its questions of all sets; a set of which nothing was drawn is left out of that draw's mean.
    Sets without questions are left out. The same input gives the same interval.
    """
    names = [name for name in sorted(values) if len(values[name])]
    n = sum(len(values[name]) for name in names)
    if not n:
        return Interval(0.0, None, None, 0)
    value = float(np.mean([np.mean(values[name]) for name in names]))
    known = sorted({cluster for name in names for cluster in clusters[name]})
    if len(known) < FEWEST:
        return Interval(value, None, None, n)
    places = {cluster: place for place, cluster in enumerate(known)}
    sums, counts = np.zeros((len(known), len(names))), np.zeros((len(known), len(names)))
    for column, name in enumerate(names):
        rows = [places[cluster] for cluster in clusters[name]]
        np.add.at(sums[:, column], rows, np.asarray(values[name], np.float64))
        np.add.at(counts[:, column], rows, 1.0)
    low, high = np.quantile(_draw(sums, counts), [0.025, 0.975])
    return Interval(value, float(low), float(high), n)


def paired(
    first: Mapping[str, Sequence[float]],
    second: Mapping[str, Sequence[float]],
    clusters: Mapping[str, Sequence[str]],
) -> Interval:
    """How much better the first way does than the second on the same questions: the interval of the mean
    difference, question by question."""
    differences = {name: np.subtract(first[name], second[name]).tolist() for name in first}
    return interval(differences, clusters)


def _draw(sums: Values, counts: Values) -> Values:
    """The statistic of each draw, [draws]."""
    rng = np.random.Generator(np.random.PCG64(_SEED))
    clusters = len(sums)
    means = []
    for size in _parts(_DRAWS, max(1, _AT_ONCE // clusters)):
        rows = np.arange(size)[:, None] * clusters + rng.integers(0, clusters, (size, clusters))
        drawn = np.bincount(rows.ravel(), minlength=size * clusters).reshape(size, clusters)
        total, number = drawn @ sums, drawn @ counts
        here = number > 0
        each = np.divide(total, number, out=np.zeros_like(total), where=here)
        means.append(each.sum(axis=1) / here.sum(axis=1))
    return np.concatenate(means)


def _parts(total: int, most: int) -> list[int]:
    return [min(most, total - start) for start in range(0, total, most)]
