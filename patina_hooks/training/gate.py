"""The gate: a projection is used only if it beats the raw model on later history.

Every candidate answers the same queries, mined from history after its training data, by vectors only. The
measure is the paired difference of reciprocal ranks per query, with its interval over sessions
(`evaluation.statistics.intervals`): its lower bound must be above zero. The best of several candidates is
chosen on the same queries, so each interval is corrected for their number (Bonferroni): of a hundred
repositories where no projection helps, about three see one pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from patina_hooks.evaluation.statistics.intervals import ERROR, FEWEST, Interval, interval, paired
from patina_hooks.evaluation.vector_ranking import reciprocal_ranks

if TYPE_CHECKING:
    from patina_hooks.evaluation.embeddings import Embeddings
    from patina_hooks.evaluation.query_sets.mining import QuerySet
    from patina_hooks.search.index.spaces import Project

SESSIONS: Final = 20
QUERIES: Final = 30
CLUSTERS: Final = 20
"""Sessions (or days outside sessions) that queries must come from: with ten, chance passes too often."""


@dataclass(frozen=True, slots=True)
class GateResult:
    """The result of one candidate.

    gain: the gain over the raw model; every query set has the same weight.
    mrr, gains: by query set.
    """

    gain: Interval
    mrr: Mapping[str, Interval]
    gains: Mapping[str, Interval]

    @property
    def passes(self) -> bool:
        """Whether the candidate passes the gate."""
        return self.gain.is_above_zero


def has_enough_clusters(query_set: QuerySet) -> bool:
    """Return whether a set's queries come from enough sessions for its mean to count."""
    return len({query.cluster for query in query_set.queries}) >= FEWEST


def describe_missing_history(sessions: int, sets: Sequence[QuerySet]) -> str:
    """Describe the history that is missing for a verdict, "" if there is enough."""
    queries = sum(len(query_set) for query_set in sets)
    clusters = len({query.cluster for query_set in sets for query in query_set.queries})
    missing = [
        f"{required - present:,} more {noun}"
        for present, required, noun in (
            (sessions, SESSIONS, "sessions"),
            (queries, QUERIES, "test queries"),
            (clusters, CLUSTERS, "later sessions with test queries"),
        )
        if present < required
    ]
    return f"not enough history: needs {', '.join(missing)}" if missing else ""


def judge(
    sets: Sequence[QuerySet],
    embeddings: Embeddings,
    candidates: Mapping[str, Project],
    check: Callable[[], None] = lambda: None,
) -> tuple[dict[str, Interval], dict[str, GateResult]]:
    """Evaluate the raw model and every candidate.

    The intervals of the gains widen with the number of candidates; those of each set do not.

    Args:
        sets: queries of later history only.
        embeddings: the raw vectors of queries and texts.
        candidates: the projections by name.
        check: called before each set; it may raise.

    Returns:
        The MRR@10 of the raw model by query set, and the result of every candidate by name.
    """
    clusters = {query_set.name: [query.cluster for query in query_set.queries] for query_set in sets}
    raw = _ranks(sets, embeddings, check)
    results: dict[str, GateResult] = {}
    for name, project in candidates.items():
        ranks = _ranks(sets, embeddings.projected(project), check)
        gains = {key: paired({key: ranks[key]}, {key: raw[key]}, clusters) for key in ranks}
        gain = paired(ranks, raw, clusters, error=ERROR / len(candidates))
        results[name] = GateResult(gain, _means(ranks, clusters), gains)
    return _means(raw, clusters), results


def _ranks(
    sets: Sequence[QuerySet], embeddings: Embeddings, check: Callable[[], None]
) -> dict[str, list[float]]:
    ranks = {}
    for query_set in sets:
        check()
        ranks[query_set.name] = reciprocal_ranks(query_set, embeddings).tolist()
    return ranks


def _means(
    ranks: Mapping[str, Sequence[float]], clusters: Mapping[str, Sequence[str]]
) -> dict[str, Interval]:
    return {name: interval({name: values}, clusters) for name, values in ranks.items()}
