"""Metrics of a ranking: MRR@10, nDCG@10 and recall@10, with relevance yes or no.

The definitions are those of trec_eval (and so of ir-measures), which a test compares with.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Scores = NDArray[np.float32]
    Rows = NDArray[np.intp]

CUTOFF: Final = 10
NOT_FOUND: Final = -np.inf


@dataclass(frozen=True, slots=True)
class QuestionMetrics:
    """One question's figures, each 0 to 1.

    rr: 1 / the rank of the first right answer; ndcg: all right answers, each worth 1 / log2(rank + 1), as a
    share of the best order; recall: the share of right answers that are there. Ranks beyond 10 count as not
    found.
    """

    rr: float
    ndcg: float
    recall: float


def best_units(scores: Scores, most: int = CUTOFF) -> Rows:
    """Return the best units [up to most] by falling score, ties in the order of units.

    scores: [units], `NOT_FOUND` for units that are not in the ranking.
    """
    order = np.argsort(-scores, kind="stable")[:most]
    ranked: Rows = order[scores[order] > NOT_FOUND]
    return ranked


def measure_relevance(right: Sequence[bool], relevant: int) -> QuestionMetrics:
    """Compute the metrics of a ranking.

    Args:
        right: whether the answer at each rank is relevant.
        relevant: the number of relevant answers.
    """
    ranks = [rank for rank, is_right in enumerate(right[:CUTOFF], 1) if is_right]
    if not ranks:
        return QuestionMetrics(0.0, 0.0, 0.0)
    ideal = _gain(range(1, min(relevant, CUTOFF) + 1))
    return QuestionMetrics(1 / ranks[0], _gain(ranks) / ideal, len(ranks) / relevant)


def measure_ranking(scores: Scores, relevant: Collection[int]) -> QuestionMetrics:
    """Compute the metrics of a ranking by scores. relevant: the right answers, at least one."""
    return measure_relevance([int(unit) in relevant for unit in best_units(scores)], len(relevant))


def _gain(ranks: Collection[int] | range) -> float:
    return float(sum(1 / np.log2(rank + 1) for rank in ranks))
