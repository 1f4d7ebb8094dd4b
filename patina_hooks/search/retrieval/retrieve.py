"""Retrieval: every retriever asked with one view, and what they find brought together by result group.

A group is what competes: a session, with its document and the commits that belong to it, or a commit that
belongs to none. Each retriever scores a group by the best thing it finds there; summing over a group's
observations would reward length (measured: 0.28 against 0.85 MRR@10).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from patina_hooks.plugins.calls import BUILTIN
from patina_hooks.plugins.kinds import RETRIEVERS
from patina_hooks.search.retrieval.step_results import read_scores

if TYPE_CHECKING:
    from patina_hooks.plugins.calls import PluginFunction
    from patina_hooks.search.retrieval.ranked_view import RankedView
    from patina_hooks.search.retrieval.step_calls import StepCalls
    from patina_hooks.specs.retrieval import Group, RetrieverSpec, Scores, View

CANDIDATES: Final = 200
"""How many texts or documents a retriever is asked for."""


@dataclass(frozen=True, slots=True, eq=False)
class Retriever:
    """A retriever that is open. search: as its spec says; what a plugin's does wrong is a fault."""

    spec: RetrieverSpec
    search: Callable[[str, RankedView, int], Scores]

    @property
    def name(self) -> str:
        """The name, by which it is weighed."""
        return self.spec.name


@dataclass(slots=True)
class Evidence:
    """What retrievers found: name -> scores by result group, and by observation where it found those."""

    groups: dict[str, dict[Group, float]] = field(default_factory=dict)
    observations: dict[str, dict[int, float]] = field(default_factory=dict)

    def found_by(self, group: Group) -> dict[str, float]:
        """Return what each retriever that found a group gave."""
        return {name: scores[group] for name, scores in self.groups.items() if group in scores}

    def joined(self, added: Evidence) -> Evidence:
        """Return this evidence with that of other retrievers after it."""
        return Evidence({**self.groups, **added.groups}, {**self.observations, **added.observations})

    def only(self, is_wanted: Callable[[Group], bool]) -> Evidence:
        """Return the evidence for some groups."""
        groups = {
            name: {group: score for group, score in scores.items() if is_wanted(group)}
            for name, scores in self.groups.items()
        }
        return Evidence(groups, self.observations)


def open_retrievers(calls: StepCalls) -> list[Retriever]:
    """Open all retrievers; one that cannot be opened is a fault and left out."""
    retrievers = []
    for spec in calls.plugins.retrievers():
        function = calls.open(RETRIEVERS, spec.name)
        if function is not None:
            builtin = function.plugin == BUILTIN
            search = function.function if builtin else partial(_search_guarded, calls, function)
            retrievers.append(Retriever(spec, search))
    return retrievers


def retrieve(
    question: str, view: RankedView, retrievers: Iterable[Retriever], limit: int = CANDIDATES
) -> Evidence:
    """Run each retriever, and score each result group by its best observation."""
    results = {retriever.name: retriever.search(question, view, limit) for retriever in retrievers}
    evidence = Evidence()
    numbers = {key for scores in results.values() for key in scores if isinstance(key, int)}
    groups = view.groups(numbers)
    for name, scores in results.items():
        by_group = evidence.groups.setdefault(name, {})
        for key, score in scores.items():
            if isinstance(key, int):
                evidence.observations.setdefault(name, {})[key] = score
            for group in groups.get(key, ()) if isinstance(key, int) else (key,):
                by_group[group] = max(score, by_group.get(group, score))
    return evidence


def _search_guarded(
    calls: StepCalls, function: PluginFunction, question: str, view: RankedView, limit: int
) -> Scores:
    """Run a plugin's retriever; a failure has no results."""

    def request(lent: View) -> dict[Any, float]:
        return read_scores(function.function(question, lent, limit), lent, limit)

    empty: dict[Any, float] = {}
    return calls.call(function, view, request, empty)
