"""Query rewriters, rerankers and filters of plugins: named by recipe or flag, none by default."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from patina_hooks.plugins.kinds import FILTERS, RERANKERS, REWRITERS, Kind
from patina_hooks.search.retrieval.step_results import read_groups, read_order, read_question

if TYPE_CHECKING:
    from patina_hooks.config.search_steps import SearchSteps
    from patina_hooks.plugins.calls import PluginFunction
    from patina_hooks.plugins.manager import Plugins
    from patina_hooks.search.retrieval.ranked_view import RankedView
    from patina_hooks.search.retrieval.step_calls import StepCalls
    from patina_hooks.specs.retrieval import Group, RankedGroup, View


@dataclass(frozen=True, slots=True)
class Refinement:
    """Steps that are open, each with its function.

    rerankers: with how many of the best candidates each scores.
    """

    calls: StepCalls
    rewriters: tuple[PluginFunction, ...] = ()
    rerankers: tuple[tuple[PluginFunction, int], ...] = ()
    filters: tuple[PluginFunction, ...] = ()

    @property
    def orders(self) -> bool:
        """Whether a step looks at candidates."""
        return bool(self.rerankers or self.filters)

    def rewrite(self, question: str, view: RankedView) -> str:
        """Return the question to look up."""
        for function in self.rewriters:
            question = self._rewrite(function, question, view)
        return question

    def order(self, question: str, candidates: Sequence[RankedGroup], view: RankedView) -> list[Group]:
        """Return the groups of candidates, given best first, in a new order and without those left out."""
        ranked = list(candidates)
        for function, pool in self.rerankers:
            ranked[:pool] = self._rerank(function, question, tuple(ranked[:pool]), view)
        for function in self.filters:
            accepted = self._filter(function, question, tuple(ranked), view)
            ranked = [candidate for candidate in ranked if accepted is None or candidate.group in accepted]
        return [candidate.group for candidate in ranked]

    def _rewrite(self, function: PluginFunction, question: str, view: RankedView) -> str:
        def ask(lent: View) -> str:
            return read_question(function.function(question, lent))

        return self.calls.call(function, view, ask, question)

    def _rerank(
        self, function: PluginFunction, question: str, candidates: tuple[RankedGroup, ...], view: RankedView
    ) -> tuple[RankedGroup, ...]:
        def ask(lent: View) -> tuple[RankedGroup, ...]:
            return read_order(function.function(question, candidates, lent), candidates)

        return self.calls.call(function, view, ask, candidates)

    def _filter(
        self, function: PluginFunction, question: str, candidates: tuple[RankedGroup, ...], view: RankedView
    ) -> Collection[Group] | None:
        def ask(lent: View) -> Collection[Group] | None:
            return read_groups(function.function(question, candidates, lent))

        return self.calls.call(function, view, ask, None)


def open_refinement(calls: StepCalls, steps: SearchSteps) -> Refinement:
    """Open steps by name; one that is not installed, or cannot be opened, is a fault and left out."""
    rerankers = _opened(calls, RERANKERS, steps.rerankers)
    return Refinement(
        calls,
        rewriters=tuple(_opened(calls, REWRITERS, steps.rewriters).values()),
        rerankers=tuple((code, calls.plugins.spec(RERANKERS, name).pool) for name, code in rerankers.items()),
        filters=tuple(_opened(calls, FILTERS, steps.filters).values()),
    )


def check_names(plugins: Plugins, steps: SearchSteps) -> None:
    """Raise `PluginError` for a step that no plugin provides."""
    named: Sequence[tuple[Kind[Any], Sequence[str]]] = (
        (REWRITERS, steps.rewriters),
        (RERANKERS, steps.rerankers),
        (FILTERS, steps.filters),
    )
    for kind, names in named:
        for name in names:
            plugins.owner(kind, name)


def _opened(calls: StepCalls, kind: Kind[Any], names: Iterable[str]) -> dict[str, PluginFunction]:
    functions = {name: calls.open(kind, name) for name in names}
    return {name: function for name, function in functions.items() if function is not None}
