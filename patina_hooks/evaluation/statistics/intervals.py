"""How sure a mean is: bootstrap intervals over clusters.

Questions that come from one session resemble each other, so that thirty questions of three sessions tell
little more than three. Whole sessions are therefore drawn, with replacement, as many as there are, 4,000
times; the middle 95 % of the means that come out are the interval (percentile bootstrap; Efron and
Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13). Of few sessions that interval is too narrow,
as a normal one is beside Student's, and it is widened by as much (the expanded percentile interval;
Hesterberg, What Teachers Should Know About the Bootstrap, 2015).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = NDArray[np.float64]

FEWEST: Final = 10
"""Clusters below which an interval would claim what it cannot know."""

ERROR: Final = 0.05
"""How often an interval may miss what it speaks of."""

_DRAWS: Final = 4_000
_TOLD: Final = 10
"""Draws beyond an end, below which they do not tell where it is."""

_AT_ONCE: Final = 2_000_000  # counts in memory
_SEED: Final = 0


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean, or a mean difference, over n questions, with the ends of its interval (95 %, unless it was made
    to miss less often).

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


def interval(
    values: Mapping[str, Sequence[float]], clusters: Mapping[str, Sequence[str]], *, error: float = ERROR
) -> Interval:
    """The mean over sets of each set's mean: every set weighs the same, however many questions it has.

    values: set -> one number a question; clusters: set -> the cluster of each of them. A cluster that is
    drawn brings its questions of all sets; a set of which nothing was drawn is left out of that draw's mean.
    Sets without questions are left out. error: how often the interval may miss, half of it on each side.
    The same input gives the same interval.
    """
    names = [name for name in sorted(values) if len(values[name])]
    n = sum(len(values[name]) for name in names)
    if not n:
        return Interval(0.0, None, None, 0)
    value = float(np.mean([np.mean(values[name]) for name in names]))
    names_of_clusters = sorted({cluster for name in names for cluster in clusters[name]})
    if len(names_of_clusters) < FEWEST:
        return Interval(value, None, None, n)
    places = {cluster: place for place, cluster in enumerate(names_of_clusters)}
    sums, counts = (
        np.zeros((len(names_of_clusters), len(names))),
        np.zeros((len(names_of_clusters), len(names))),
    )
    for column, name in enumerate(names):
        rows = [places[cluster] for cluster in clusters[name]]
        np.add.at(sums[:, column], rows, np.asarray(values[name], np.float64))
        np.add.at(counts[:, column], rows, 1.0)
    fewest = max(FEWEST, int((counts > 0).sum(axis=0).min()))
    low, high = _ends(value, _draw(sums, counts), error / 2, fewest)
    return Interval(value, low, high, n)


def paired(
    first: Mapping[str, Sequence[float]],
    second: Mapping[str, Sequence[float]],
    clusters: Mapping[str, Sequence[str]],
    *,
    error: float = ERROR,
) -> Interval:
    """How much better the first way does than the second on the same questions: the interval of the mean
    difference, question by question."""
    differences = {name: np.subtract(first[name], second[name]).tolist() for name in first}
    return interval(differences, clusters, error=error)


def _ends(value: float, draws: Values, tail: float, clusters: int) -> tuple[float, float]:
    """clusters: of the set that has fewest, whose luck is the most of it."""
    share = _expanded(tail, clusters)
    low, high = np.quantile(draws, [share, 1 - share])
    if share * len(draws) < _TOLD:
        # So far out there are too few draws to tell: Student's interval, where it is the wider one.
        wide = student(1 - tail, clusters - 1) * sqrt(clusters / (clusters - 1)) * float(draws.std())
        low, high = min(low, value - wide), max(high, value + wide)
    return float(low), float(high)


def _expanded(tail: float, clusters: int) -> float:
    """The share of draws to leave out on one side, so that `tail` of the truth lies beyond."""
    wide = student(1 - tail, clusters - 1) * sqrt(clusters / (clusters - 1))
    return NormalDist().cdf(-wide)


def student(share: float, freedom: int) -> float:
    """The quantile of Student's distribution, by its expansion around the normal one (Abramowitz and Stegun,
    Handbook of Mathematical Functions, 26.7.5): to 0.002 from nine degrees of freedom on."""
    z = NormalDist().inv_cdf(share)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / float(freedom) ** power for power, term in enumerate(terms, 1))


def _draw(sums: Values, counts: Values) -> Values:
    """The statistic of each draw, [draws]."""
    rng = np.random.Generator(np.random.PCG64(_SEED))
    clusters = len(sums)
    means = []
    for size in _parts(_DRAWS, max(1, _AT_ONCE // clusters)):
        rows = np.arange(size)[:, None] * clusters + rng.integers(0, clusters, (size, clusters))
        drawn = np.bincount(rows.ravel(), minlength=size * clusters).reshape(size, clusters)
        total, number = drawn @ sums, drawn @ counts
        is_drawn = number > 0
        set_means = np.divide(total, number, out=np.zeros_like(total), where=is_drawn)
        means.append(set_means.sum(axis=1) / is_drawn.sum(axis=1))
    return np.concatenate(means)


def _parts(total: int, most: int) -> list[int]:
    return [min(most, total - start) for start in range(0, total, most)]
