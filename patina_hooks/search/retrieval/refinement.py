"""Query rewriters, rerankers and filters of plugins: named by recipe or flag, none by default.

What one of them does wrong is a fault, and the answer goes on without it.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import TYPE_CHECKING, Any, Final, TypeVar

from patina_hooks.errors import IndexDamaged, PluginError
from patina_hooks.plugins.calls import PluginFunction
from patina_hooks.plugins.kinds import FILTERS, RERANKERS, REWRITERS, Kind, shown
from patina_hooks.specs.retrieval import RankedGroup

if TYPE_CHECKING:
    from patina_hooks.config.recipe import SearchSteps
    from patina_hooks.plugins.manager import Plugins
    from patina_hooks.specs.plugins import Fault
    from patina_hooks.specs.retrieval import Group, View

Value = TypeVar("Value")
_LONGEST: Final = 100_000
"""Characters that a rewriter may make of a question."""


@dataclass(frozen=True, slots=True)
class Refinement:
    """Steps that are open, each with its function.

    rerankers: with how many of the best candidates each scores.
    """

    plugins: Plugins
    on_fault: Callable[[Fault], None]
    rewriters: tuple[PluginFunction, ...] = ()
    rerankers: tuple[tuple[PluginFunction, int], ...] = ()
    filters: tuple[PluginFunction, ...] = ()

    @property
    def orders(self) -> bool:
        """Whether a step looks at candidates."""
        return bool(self.rerankers or self.filters)

    def rewrite(self, question: str, view: View) -> str:
        """Return the question to look up."""
        for function in self.rewriters:
            question = self._call(function, _checked_question, question, question, view)
        return question

    def order(self, question: str, candidates: Sequence[RankedGroup], view: View) -> list[Group]:
        """Return the groups of candidates, given best first, in a new order and without those left out."""
        ranked = list(candidates)
        for function, pool in self.rerankers:
            best = tuple(ranked[:pool])
            ranked[:pool] = self._call(function, _order_of(best), best, question, best, view)
        for function in self.filters:
            kept = self._call(function, _checked_groups, None, question, tuple(ranked), view)
            ranked = [one for one in ranked if kept is None or one.group in kept]
        return [one.group for one in ranked]

    def _call(
        self,
        function: PluginFunction,
        checked: Callable[[Any], Value],
        otherwise: Value,
        *arguments: object,
    ) -> Value:
        try:
            return checked(function(*arguments))
        except (KeyboardInterrupt, IndexDamaged, sqlite3.Error):
            raise  # not of the plugin's making
        except BaseException as error:
            self.on_fault(self.plugins.record_failure(function, error))
            return otherwise


def open_refinement(plugins: Plugins, steps: SearchSteps, on_fault: Callable[[Fault], None]) -> Refinement:
    """Open steps by name; one that is not installed, or cannot be opened, is a fault and left out."""
    opened = Refinement(plugins, on_fault)
    rewriters = _opened(opened, REWRITERS, steps.rewriters)
    rerankers = _opened(opened, RERANKERS, steps.rerankers)
    return replace(
        opened,
        rewriters=tuple(rewriters.values()),
        rerankers=tuple((code, plugins.reranker(name).pool) for name, code in rerankers.items()),
        filters=tuple(_opened(opened, FILTERS, steps.filters).values()),
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


def _opened(refinement: Refinement, kind: Kind[Any], names: Iterable[str]) -> dict[str, PluginFunction]:
    functions = {}
    for name in names:
        try:
            functions[name] = refinement.plugins.open_spec(kind, name)
        except PluginError as error:
            where = f"{kind.noun} {name}"
            refinement.on_fault(refinement.plugins.record_fault("patina-hooks", where, error))
    return functions


def _checked_question(question: object) -> str:
    if not isinstance(question, str) or not question.strip():
        raise TypeError(f"gave {shown(question)}; wants a question that is not empty")
    question.encode()  # no lone surrogate: it has no UTF-8
    return question[:_LONGEST]


def _order_of(candidates: Sequence[RankedGroup]) -> Callable[[object], tuple[RankedGroup, ...]]:
    """Return what orders candidates by the scores that a reranker gives."""

    def ordered(scores: object) -> tuple[RankedGroup, ...]:
        if isinstance(scores, (str, bytes, Mapping)) or not isinstance(scores, Iterable):
            raise TypeError(f"gave {shown(scores)}; wants a score for each candidate")
        values = list(scores)
        if len(values) != len(candidates):
            raise ValueError(f"gave {len(values)} scores for {len(candidates)} candidates")
        if not all(isinstance(value, Real) and math.isfinite(value) for value in values):
            raise ValueError("a score is not a finite number")
        places = sorted(range(len(candidates)), key=lambda place: (-float(values[place]), place))
        return tuple(candidates[place] for place in places)

    return ordered


def _checked_groups(groups: object) -> Collection[Group] | None:
    if isinstance(groups, (str, bytes)) or not isinstance(groups, Collection):
        raise TypeError(f"gave {shown(groups)}; wants a collection of groups")
    return frozenset(groups)
