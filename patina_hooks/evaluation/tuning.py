"""Fusion weights tuned on a repository's past, and used only if its later history confirms them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from patina_hooks.evaluation.methods import QuestionEvidence
from patina_hooks.evaluation.statistics.intervals import paired
from patina_hooks.evaluation.statistics.metrics import CUTOFF
from patina_hooks.search.fusion import WEIGHTS, scale
from patina_hooks.search.stored_weights import TunedWeights

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from patina_hooks.evaluation.query_sets.mining import QuerySet
    from patina_hooks.search.index.spaces import VectorSpace

    Values = NDArray[np.float64]

_PAST: Final = 0.7
_GRID: Final = tuple(step / 20 for step in range(13))  # 0 to 0.6
_ROUNDS: Final = 5


def tune_on(
    sets: Iterable[tuple[QuerySet, Iterable[QuestionEvidence]]],
    space: VectorSpace,
    events_hash: str,
    *,
    until: int | None,
    defaults: Mapping[str, float] = WEIGHTS,
) -> TunedWeights:
    """Tune on the first 70 % of the queries, evaluate on the rest.

    Args:
        sets: those that `scry` answers, with the evidence of each query, in `space`.
        space: the vector space of the evidence.
        events_hash: that of the history.
        until: the end of the training data of the space's projection, seconds since 1970, None without one;
            queries up to then are tuned on as well, so that the evaluation uses unseen queries only.
        defaults: the weights of all retrievers to start from and to improve.
    """
    answer_sets = [_answers(query_set, list(evidence), tuple(defaults)) for query_set, evidence in sets]
    moments = sorted(moment for answers in answer_sets for moment in answers.moments.tolist())
    past_end = int(moments[min(len(moments) - 1, int(len(moments) * _PAST))]) if moments else 0
    split = past_end if until is None else max(past_end, until)
    past = [answers.select(answers.moments <= split) for answers in answer_sets]
    future = [answers.select(answers.moments > split) for answers in answer_sets]
    weights = _search(past, defaults)
    gain = paired(
        {answers.name: answers.reciprocal_ranks(weights).tolist() for answers in future},
        {answers.name: answers.reciprocal_ranks(defaults).tolist() for answers in future},
        {answers.name: answers.clusters.tolist() for answers in future},
    )
    return TunedWeights(
        weights=weights,
        fingerprint=space.fingerprint,
        projection=space.projection,
        query=space.query,
        events_hash=events_hash,
        split=split,
        past=sum(len(answers.moments) for answers in past),
        delta=gain.value,
        low=gain.low,
        high=gain.high,
        n=gain.n,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Answers:
    """One set's evidence as arrays, one row a question.

    retrievers: their names; scaled: [q, retrievers, units], 0 where one found nothing; found: where any did;
    relevant: the right answers, [q, units].
    """

    name: str
    retrievers: tuple[str, ...]
    clusters: NDArray[np.str_]
    moments: NDArray[np.int64]
    scaled: Values
    is_ranked: NDArray[np.bool_]
    relevant: NDArray[np.bool_]

    def select(self, mask: NDArray[np.bool_]) -> _Answers:
        """Select some of the queries."""
        return _Answers(
            self.name, self.retrievers, self.clusters[mask], self.moments[mask], self.scaled[mask],
            self.is_ranked[mask], self.relevant[mask],
        )  # fmt: skip

    def reciprocal_ranks(self, weights: Mapping[str, float]) -> Values:
        """Compute the reciprocal ranks of the fused scores, as `measure_ranking` does."""
        values = np.array([weights[name] for name in self.retrievers])
        scores = np.where(self.is_ranked, np.einsum("c,qcu->qu", values, self.scaled), -np.inf)
        right = np.where(self.relevant, scores, -np.inf)
        top = right.max(axis=1, keepdims=True, initial=-np.inf)
        first = right.argmax(axis=1)[:, None] if right.size else np.zeros((0, 1), np.intp)
        before = (scores > top) | ((scores == top) & (np.arange(scores.shape[1]) < first))
        rank = 1 + before.sum(axis=1)
        ranks: Values = np.where((rank <= CUTOFF) & (top[:, 0] > -np.inf), 1 / rank, 0.0)
        return ranks


def _answers(
    query_set: QuerySet, evidence: Sequence[QuestionEvidence], retrievers: tuple[str, ...] = tuple(WEIGHTS)
) -> _Answers:
    shape = (len(evidence), len(query_set.units))
    scaled = np.zeros((shape[0], len(retrievers), shape[1]))
    is_ranked, relevant = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
    for row, question in enumerate(evidence):
        relevant[row, list(question.query.relevant)] = True
        for column, name in enumerate(retrievers):
            scores = scale(question.fused.get(name, {}))
            scaled[row, column, list(scores)] = list(scores.values())
            is_ranked[row, list(scores)] = True
    clusters = np.array([question.query.cluster for question in evidence], np.str_)
    moments = np.array([question.query.moment for question in evidence], np.int64)
    return _Answers(query_set.name, retrievers, clusters, moments, scaled, is_ranked, relevant)


def _search(past: Sequence[_Answers], defaults: Mapping[str, float]) -> dict[str, float]:
    """Search from the default weights, one coordinate at a time.

    Each weight takes each value of the grid while the others keep their proportions.
    """
    best, weights = _mean(past, defaults), dict(defaults)
    for _ in range(_ROUNDS):
        previous = best
        for retriever in defaults:
            for candidate in _variants(weights, retriever):
                value = _mean(past, candidate)
                if value > best + 1e-9:
                    best, weights = value, candidate
        if best == previous:
            break
    return {retriever: round(weight, 4) for retriever, weight in weights.items()}


def _variants(weights: Mapping[str, float], retriever: str) -> Iterator[dict[str, float]]:
    rest = sum(value for name, value in weights.items() if name != retriever)
    for value in _GRID if rest else ():
        rest_weights = {name: weight * (1 - value) / rest for name, weight in weights.items()}
        yield {**rest_weights, retriever: value}


def _mean(answers: Sequence[_Answers], weights: Mapping[str, float]) -> float:
    means = [float(answer.reciprocal_ranks(weights).mean()) for answer in answers if len(answer.moments)]
    return sum(means) / len(means) if means else 0.0
