"""The gate: a projection is used only if it beats the raw model on later history that it never saw.

Every candidate answers the same questions, mined from what came after its training data, by vectors alone.
What counts is the paired difference of reciprocal ranks, question by question, with its 95 % interval over
sessions (`patina_hooks.evaluation.intervals`): its lower end has to be above zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from patina_hooks.evaluation.intervals import FEWEST, Interval, interval, paired
from patina_hooks.evaluation.nearness import reciprocal_ranks

if TYPE_CHECKING:
    from patina_hooks.evaluation.embeddings import Embeddings
    from patina_hooks.evaluation.query_sets import QuerySet
    from patina_hooks.search.vectors import Project

SESSIONS: Final = 20
QUESTIONS: Final = 30


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


def too_little(sessions: int, sets: Sequence[QuerySet]) -> str:
    """What is missing for a verdict that means something, "" where nothing is."""
    questions = sum(len(one) for one in sets)
    askers = len({query.cluster for one in sets for query in one.queries})
    lacks = [
        f"{wanted - has:,} more {noun}"
        for has, wanted, noun in (
            (sessions, SESSIONS, "sessions with documents"),
            (questions, QUESTIONS, "questions from later history"),
            (askers, FEWEST, "later sessions that ask them"),
        )
        if has < wanted
    ]
    return f"too little history to judge by: it takes {', '.join(lacks)}" if lacks else ""


def judge(
    sets: Sequence[QuerySet], embeddings: Embeddings, candidates: Mapping[str, Project]
) -> tuple[dict[str, Interval], dict[str, Judged]]:
    """(MRR@10 of the raw model by set, every candidate by name). sets: questions of the future alone."""
    clusters = {one.name: [query.cluster for query in one.queries] for one in sets}
    raw = _ranks(sets, embeddings)
    judged: dict[str, Judged] = {}
    for name, project in candidates.items():
        own = _ranks(sets, embeddings.projected(project))
        gains = {one: paired({one: own[one]}, {one: raw[one]}, clusters) for one in own}
        judged[name] = Judged(paired(own, raw, clusters), _means(own, clusters), gains)
    return _means(raw, clusters), judged


def _ranks(sets: Sequence[QuerySet], embeddings: Embeddings) -> dict[str, list[float]]:
    return {one.name: reciprocal_ranks(one, embeddings).tolist() for one in sets}


def _means(
    ranks: Mapping[str, Sequence[float]], clusters: Mapping[str, Sequence[str]]
) -> dict[str, Interval]:
    return {name: interval({name: values}, clusters) for name, values in ranks.items()}
