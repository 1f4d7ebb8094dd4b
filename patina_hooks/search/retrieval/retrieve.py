"""Retrieval: every retriever asked with one view, and what they find brought together by result group.

A group is what competes: a session, with its document and the commits that belong to it, or a commit that
belongs to none. Each retriever scores a group by the best thing it finds there; summing over a group's
observations would reward length (measured: 0.28 against 0.85 MRR@10).
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from heapq import nlargest
from numbers import Real
from typing import TYPE_CHECKING, Any, Final

from patina_hooks.errors import IndexDamaged, PluginError
from patina_hooks.plugins.calls import BUILTIN, PluginFunction
from patina_hooks.plugins.kinds import RETRIEVERS, shown

if TYPE_CHECKING:
    from patina_hooks.plugins.manager import Plugins
    from patina_hooks.specs.plugins import Fault
    from patina_hooks.specs.retrieval import Group, RetrieverSpec, Scores, View

CANDIDATES: Final = 200
"""How many texts or documents a retriever is asked for."""


@dataclass(frozen=True, slots=True, eq=False)
class Retriever:
    """A retriever that is open. search: as its spec says; what a plugin's does wrong is a fault."""

    spec: RetrieverSpec
    search: Callable[[str, View, int], Scores]

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

    def joined(self, other: Evidence) -> Evidence:
        """Return this evidence with that of other retrievers after it."""
        return Evidence({**self.groups, **other.groups}, {**self.observations, **other.observations})

    def only(self, is_wanted: Callable[[Group], bool]) -> Evidence:
        """Return the evidence for some groups."""
        groups = {
            name: {group: score for group, score in scores.items() if is_wanted(group)}
            for name, scores in self.groups.items()
        }
        return Evidence(groups, self.observations)


def open_retrievers(plugins: Plugins, on_fault: Callable[[Fault], None] = lambda _: None) -> list[Retriever]:
    """Open all retrievers; one that cannot be opened is a fault and left out."""
    retrievers = []
    for spec in plugins.retrievers():
        try:
            function = plugins.open(RETRIEVERS, spec.name, spec.search)
        except PluginError as error:
            on_fault(plugins.record_fault(plugins.owner(RETRIEVERS, spec.name), spec.name, error))
            continue
        guarded = function.plugin != BUILTIN
        search = _Guarded(plugins, function, on_fault) if guarded else function.function
        retrievers.append(Retriever(spec, search))
    return retrievers


def retrieve(question: str, view: View, retrievers: Iterable[Retriever], limit: int = CANDIDATES) -> Evidence:
    """Ask each retriever, and give each result group the score of its best observation."""
    found = {retriever.name: retriever.search(question, view, limit) for retriever in retrievers}
    evidence = Evidence()
    numbers = {key for scores in found.values() for key in scores if isinstance(key, int)}
    groups = view.groups(numbers)
    for name, scores in found.items():
        by_group = evidence.groups.setdefault(name, {})
        for key, score in scores.items():
            if isinstance(key, int):
                evidence.observations.setdefault(name, {})[key] = score
            for group in groups.get(key, ()) if isinstance(key, int) else (key,):
                by_group[group] = max(score, by_group.get(group, score))
    return evidence


class _Guarded:
    """A plugin's retriever: what it raises is a fault, and so is what it gives that is no score."""

    def __init__(self, plugins: Plugins, function: PluginFunction, on_fault: Callable[[Fault], None]) -> None:
        self._plugins = plugins
        self._function = function
        self._on_fault = on_fault

    def __call__(self, question: str, view: View, limit: int) -> Scores:
        try:
            scores = _checked(self._function(question, view, limit))
        except (KeyboardInterrupt, IndexDamaged, sqlite3.Error):
            raise  # not of the plugin's making
        except BaseException as error:
            self._on_fault(self._plugins.record_failure(self._function, error))
            return {}
        visible = view.visible([key for key in scores if isinstance(key, int)])
        kept = {key: score for key, score in scores.items() if not isinstance(key, int) or key in visible}
        return dict(nlargest(limit, kept.items(), key=lambda item: item[1]))


def _checked(scores: Any) -> dict[Any, float]:  # noqa: ANN401 (what a plugin gives)
    if not isinstance(scores, Mapping):
        raise TypeError(f"gave {shown(scores)}; wants a mapping of observations or groups to scores")
    for key, score in scores.items():
        if not isinstance(key, int) and not _is_group(key):
            raise TypeError(f"gave {shown(key)}; wants the number of an observation, or a group")
        if not isinstance(score, Real) or not math.isfinite(score):
            raise ValueError(f"a score is {shown(score)} that is not finite")
    return {key: float(score) for key, score in scores.items()}


def _is_group(key: object) -> bool:
    return isinstance(key, tuple) and len(key) == 2 and all(isinstance(part, str) for part in key)
