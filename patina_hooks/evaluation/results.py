"""Results of an evaluation, and the JSON that `patina eval --json` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from patina_hooks.evaluation.methods import BASELINES, METHODS, READING
from patina_hooks.evaluation.statistics.intervals import FEWEST, Interval, interval, paired
from patina_hooks.evaluation.statistics.metrics import CUTOFF, QuestionMetrics

FEW: Final = 20
"""Clusters below which an interval is rough, although it is widened for their number."""


@dataclass(frozen=True, slots=True)
class MethodFigures:
    """Means over a set's queries. low, high: the 95 % interval of mrr, None with too few clusters."""

    mrr: float
    low: float | None
    high: float | None
    ndcg: float
    recall: float


@dataclass(frozen=True, slots=True)
class Answer:
    """One question and the metrics of each method's answer. cluster: see `query_sets.MinedQuery`.

    metrics: all questions of a set have the same methods; one that would be right by the way the questions
    are made is left out.
    """

    id: str
    cluster: str
    metrics: Mapping[str, QuestionMetrics]


@dataclass(frozen=True, slots=True)
class SetResult:
    """One query set, question by question. reason: why it has no question, "" where it has some."""

    name: str
    answers: tuple[Answer, ...]
    reason: str = ""

    @property
    def n(self) -> int:
        return len(self.answers)

    @property
    def clusters(self) -> list[str]:
        return [answer.cluster for answer in self.answers]

    @property
    def methods(self) -> list[str]:
        """The measured methods, in order: built-in ones, then retrievers of plugins."""
        names = [
            *METHODS,
            *sorted({name for answer in self.answers for name in answer.metrics}.difference(METHODS)),
        ]
        return [name for name in names if all(name in answer.metrics for answer in self.answers)]

    @property
    def is_small(self) -> bool:
        """Whether it has too few clusters for an interval."""
        return len(set(self.clusters)) < FEWEST

    @property
    def is_rough(self) -> bool:
        """Whether its intervals are based on few clusters."""
        return not self.is_small and len(set(self.clusters)) < FEW

    def reciprocal_ranks(self, method: str) -> list[float]:
        """Return the reciprocal rank of each query."""
        return [answer.metrics[method].rr for answer in self.answers]

    def figures(self, method: str) -> MethodFigures:
        """Compute the figures of a method. Raises ZeroDivisionError for a set without queries."""
        metrics = [answer.metrics[method] for answer in self.answers]
        mrr = interval({self.name: [metric.rr for metric in metrics]}, {self.name: self.clusters})
        ndcg, recall = (
            sum(metric.ndcg for metric in metrics) / self.n,
            sum(metric.recall for metric in metrics) / self.n,
        )
        return MethodFigures(mrr.value, mrr.low, mrr.high, ndcg, recall)


@dataclass(frozen=True, slots=True)
class Measured:
    """The subject and conditions of a measurement.

    after: of the mined sets only questions that were asked later than this (seconds since 1970), None for
    all. projection: "none" for the raw model. weights: of hybrid; tuned: whether `patina eval
    --tune` found them. ignored: why weights that were tuned and
    borne out are not used, "" where none are left aside. unknown_weights: retrievers that tuned weights name
    and that are not installed. cutoff: places of an answer that count.
    """

    events_hash: str
    model: str
    runtime: str
    fingerprint: str
    projection: str
    weights: Mapping[str, float]
    after: int | None
    tuned: bool = False
    ignored: str = ""
    unknown_weights: tuple[str, ...] = ()
    cutoff: int = CUTOFF


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The requested sets, also those without queries."""

    sets: tuple[SetResult, ...]
    measured: Measured

    @property
    def non_empty_sets(self) -> list[SetResult]:
        """The sets that have questions."""
        return [result for result in self.sets if result.n]


def against(sets: Sequence[SetResult], baseline: str) -> Interval:
    """Compute the paired difference of MRR@10 of hybrid and a baseline, over the sets that have both."""
    sets = [result for result in sets if baseline in result.methods]
    hybrid = {result.name: result.reciprocal_ranks("hybrid") for result in sets}
    compared = {result.name: result.reciprocal_ranks(baseline) for result in sets}
    return paired(hybrid, compared, {result.name: result.clusters for result in sets})


def evaluation_as_json(evaluation: Evaluation) -> dict[str, object]:
    """Build the object that `patina eval --json` prints; docs/json.md has the keys."""
    measured = evaluation.measured
    return {
        "sets": {
            result.name: {"n": result.n, "reason": result.reason, **_figures(result)}
            for result in evaluation.sets
        },
        "paired": {
            **{result.name: _differences([result]) for result in evaluation.non_empty_sets},
            "all": _differences(evaluation.non_empty_sets),
        },
        "measured": {
            "events_hash": measured.events_hash,
            "model": measured.model,
            "runtime": measured.runtime,
            "fingerprint": measured.fingerprint,
            "projection": measured.projection,
            "weights": dict(measured.weights),
            "after": measured.after,
            "ignored": measured.ignored,
            "unknown_weights": list(measured.unknown_weights),
            "cutoff": measured.cutoff,
        },
        "queries": {
            result.name: {
                answer.id: {
                    "cluster": answer.cluster,
                    "rr": answer.metrics["hybrid"].rr,
                    "others": {name: answer.metrics[name].rr for name in READING if name != "hybrid"},
                }
                for answer in result.answers
            }
            for result in evaluation.non_empty_sets
        },
    }


def difference_as_json(difference: Interval) -> dict[str, object]:
    """Return `delta`, `low`, `high` and `n`."""
    delta = difference.value if difference.n else None
    return {"delta": delta, "low": difference.low, "high": difference.high, "n": difference.n}


def _figures(result: SetResult) -> dict[str, object]:
    empty: dict[str, float | None] = dict.fromkeys(("mrr", "low", "high", "ndcg", "recall"))
    figures = {method: asdict(result.figures(method)) for method in result.methods} if result.n else {}
    return {method: figures.get(method, empty) for method in [*METHODS, *figures] if result.n}


def _differences(sets: Sequence[SetResult]) -> dict[str, object]:
    return {f"hybrid-{baseline}": difference_as_json(against(sets, baseline)) for baseline in BASELINES}
