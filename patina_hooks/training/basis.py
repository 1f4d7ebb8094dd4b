"""Everything that a run reads, in one consistent view: what to train, from what, and judged by what."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from patina_hooks.config.configuration import load_configuration
from patina_hooks.errors import SettingsError, StateError
from patina_hooks.evaluation.evaluate import MINED, mine
from patina_hooks.evaluation.history import History, read_history
from patina_hooks.evaluation.query_sets.mining import QuerySet, Wanted
from patina_hooks.pairs.stored import TrainingPair, training_pairs
from patina_hooks.search.index.spaces import VectorSpace, active_space, requested_space
from patina_hooks.store.facts import counts
from patina_hooks.store.log import Log
from patina_hooks.training.gate import speaks, too_little
from patina_hooks.training.past import Split, split
from patina_hooks.training.plan import Planned, plan

if TYPE_CHECKING:
    from pathlib import Path

    from patina_hooks.config.recipe import Recipe
    from patina_hooks.store.memory import Memory

JUDGED_ON: Final = tuple(name for name in MINED if name != "commit_files_cold")
"""The query sets that decide; the one left out asks the same questions as `commit_files` once more."""

_MOST_QUESTIONS: Final = 2_000
"""Of a set: `patina eval` asks a few hundred, but the more are asked here, the narrower the interval."""


@dataclass(frozen=True, slots=True, eq=False)
class Basis:
    """pairs: of the kinds that are planned, in canonical order; pair_total: how many there are of all kinds.

    space: of the recipe's model, without a projection. sets: the questions of the future that decide; lacks:
    what is missing for a verdict, "" where nothing is.
    """

    recipe: Recipe
    space: VectorSpace
    planned: tuple[Planned, ...]
    history: History
    pairs: Sequence[TrainingPair]
    pair_total: int
    split: Split
    sets: Sequence[QuerySet]
    lacks: str


def read_basis(memory: Memory) -> Basis:
    """Raises `SettingsError` for a recipe that cannot be meant, `StateError` where its model has not read
    this history yet, `PluginError` and `ModelError` as `requested_space` and `plan` do."""
    recipe = _recipe(memory)
    space = requested_space(memory.plugins, recipe, memory.repository.state)
    planned = plan(memory.plugins, recipe, space.dimensions, space.judged_by)
    history, pairs, total = _read(memory.repository.state, space, {one.pairs for one in planned})
    moments = split(history) if history.sessions else Split(0, 0, 0)
    later = Wanted(most=_MOST_QUESTIONS, after=moments.future - 1)
    sets = [one for one in mine(history, JUDGED_ON, later) if speaks(one)]
    lacks = too_little(len(history.sessions), sets)
    return Basis(recipe, space, planned, history, pairs, total, moments, sets, lacks)


def _recipe(memory: Memory) -> Recipe:
    said = load_configuration(memory.repository)
    if said.recipe is None:
        raise SettingsError("; ".join(fault.error for fault in said.faults))
    return said.recipe


def _read(
    state: Path, space: VectorSpace, kinds: Collection[str]
) -> tuple[History, Sequence[TrainingPair], int]:
    with Log(state, create=False) as log, log.reading() as connection:
        answering = active_space(log)
        if answering is None or answering.fingerprint != space.fingerprint:
            raise StateError("the recipe's model has not read this history yet", hint="patina sync")
        return read_history(connection), training_pairs(connection, kinds), counts(connection)["pairs"]
