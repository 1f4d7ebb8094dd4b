"""The gate: a projection is used only if it beats the raw model on later history that it never saw.

Every candidate answers the same questions, mined from what came after its training data, by vectors alone.
What counts is the paired difference of reciprocal ranks, question by question, with its interval over
sessions (`evaluation.statistics.intervals`): its lower end has to be above zero. The best of several is
chosen by the questions that it is judged on, so each interval may miss that much less often (Bonferroni): of
a hundred repositories where nothing helps, about three see anything pass.
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
QUESTIONS: Final = 30
ASKERS: Final = 20
"""Sessions (or days outside of any) that have to ask: of ten, chance alone passes too often."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One candidate. gain: over the raw model, all sets weighing the same; mrr, gains: by set."""

    gain: Interval
    mrr: Mapping[str, Interval]
    gains: Mapping[str, Interval]

    @property
    def passes(self) -> bool:
        """Whether it earned its place."""
        return self.gain.is_above_zero


def speaks(one: QuerySet) -> bool:
    """Whether enough sessions ask a set's questions for its mean to count as much as another set's."""
    return len({query.cluster for query in one.queries}) >= FEWEST


def too_little(sessions: int, sets: Sequence[QuerySet]) -> str:
    """What is missing for a verdict that means something, "" where nothing is."""
    questions = sum(len(one) for one in sets)
    askers = len({query.cluster for one in sets for query in one.queries})
    lacks = [
        f"{wanted - has:,} more {noun}"
        for has, wanted, noun in (
            (sessions, SESSIONS, "sessions with documents"),
            (questions, QUESTIONS, "questions from later history"),
            (askers, ASKERS, "later sessions that ask them"),
        )
        if has < wanted
    ]
    return f"too little history to judge by: it takes {', '.join(lacks)}" if lacks else ""


def judge(
    sets: Sequence[QuerySet],
    embeddings: Embeddings,
    candidates: Mapping[str, Project],
    check: Callable[[], None] = lambda: None,
) -> tuple[dict[str, Interval], dict[str, Judged]]:
    """(MRR@10 of the raw model by set, every candidate by name). sets: questions of the future alone.

    check: called before each set is asked; it may raise.

    The intervals of the gains are the wider the more candidates there are; those of each set are not.
    """
    clusters = {one.name: [query.cluster for query in one.queries] for one in sets}
    raw = _ranks(sets, embeddings, check)
    judged: dict[str, Judged] = {}
    for name, project in candidates.items():
        own = _ranks(sets, embeddings.projected(project), check)
        gains = {one: paired({one: own[one]}, {one: raw[one]}, clusters) for one in own}
        gain = paired(own, raw, clusters, error=ERROR / len(candidates))
        judged[name] = Judged(gain, _means(own, clusters), gains)
    return _means(raw, clusters), judged


def _ranks(
    sets: Sequence[QuerySet], embeddings: Embeddings, check: Callable[[], None]
) -> dict[str, list[float]]:
    ranks = {}
    for one in sets:
        check()
        ranks[one.name] = reciprocal_ranks(one, embeddings).tolist()
    return ranks


def _means(
    ranks: Mapping[str, Sequence[float]], clusters: Mapping[str, Sequence[str]]
) -> dict[str, Interval]:
    return {name: interval({name: values}, clusters) for name, values in ranks.items()}
