"""Bootstrap intervals of a mean over clusters.

Queries of one session are similar, so that thirty queries of three sessions are little more evidence than
three. Therefore whole sessions are drawn with replacement, as many as there are, 4,000 times; the middle
95 % of the resulting means are the interval (percentile bootstrap; Efron and Tibshirani, An Introduction to
the Bootstrap, 1993, chapter 13). With few sessions that interval is too narrow, as a normal interval is
compared with Student's, and is widened by the same factor (the expanded percentile interval; Hesterberg,
What Teachers Should Know About the Bootstrap, 2015).
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
"""Clusters below which there is no interval."""

ERROR: Final = 0.05
"""How often an interval may miss the true value."""

_DRAWS: Final = 4_000
_TOLD: Final = 10
"""Draws beyond an end that are needed to estimate it."""

_AT_ONCE: Final = 2_000_000  # counts in memory
_SEED: Final = 0


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean, or a mean difference, over n queries, with its interval (95 % by default).

    low, high: None with fewer than ten clusters.
    """

    value: float
    low: float | None
    high: float | None
    n: int

    @property
    def is_above_zero(self) -> bool:
        """Whether the whole interval is above zero."""
        return self.low is not None and self.low > 0

    @property
    def is_below_zero(self) -> bool:
        return self.high is not None and self.high < 0


def interval(
    values: Mapping[str, Sequence[float]], clusters: Mapping[str, Sequence[str]], *, error: float = ERROR
) -> Interval:
    """Compute the mean over sets of each set's mean; every set has the same weight.

    A drawn cluster adds its queries of all sets; a set without drawn queries does not count in that draw.
    Sets without queries do not count. The same input has the same interval.

    Args:
        values: set -> one number per query.
        clusters: set -> the cluster of each query.
        error: how often the interval may miss, half of it on each side.
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
    """Compute the mean difference of two methods on the same queries, with its interval."""
    differences = {name: np.subtract(first[name], second[name]).tolist() for name in first}
    return interval(differences, clusters, error=error)


def _ends(value: float, draws: Values, tail: float, clusters: int) -> tuple[float, float]:
    """Compute the ends of an interval. clusters: of the set with the fewest."""
    share = _expanded(tail, clusters)
    low, high = np.quantile(draws, [share, 1 - share])
    if share * len(draws) < _TOLD:
        # Too few draws are this far out: use Student's interval if it is wider.
        wide = student(1 - tail, clusters - 1) * sqrt(clusters / (clusters - 1)) * float(draws.std())
        low, high = min(low, value - wide), max(high, value + wide)
    return float(low), float(high)


def _expanded(tail: float, clusters: int) -> float:
    """Return the share of draws to exclude on one side, so that `tail` of the truth is beyond."""
    wide = student(1 - tail, clusters - 1) * sqrt(clusters / (clusters - 1))
    return NormalDist().cdf(-wide)


def student(share: float, freedom: int) -> float:
    """Compute a quantile of Student's distribution by its expansion around the normal one.

    Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5; exact to 0.002 from nine degrees of
    freedom on.
    """
    z = NormalDist().inv_cdf(share)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / float(freedom) ** power for power, term in enumerate(terms, 1))


def _draw(sums: Values, counts: Values) -> Values:
    """Compute the statistic of each draw, [draws]."""
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
