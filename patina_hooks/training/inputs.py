"""The inputs of a training run, read in one consistent view."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from patina_hooks.config.configuration import load_configuration
from patina_hooks.errors import SettingsError, StateError
from patina_hooks.evaluation.evaluate import MINED, mine
from patina_hooks.evaluation.history import History, read_history
from patina_hooks.evaluation.query_sets.mining import QueryFilter, QuerySet
from patina_hooks.pairs.stored import TrainingPair, training_pairs
from patina_hooks.search.index.spaces import VectorSpace, active_space, requested_space
from patina_hooks.store.facts import counts
from patina_hooks.store.log import Log
from patina_hooks.training.gate import describe_missing_history, has_enough_clusters
from patina_hooks.training.plan import PlannedProjection, plan_projections
from patina_hooks.training.training_set import Split, split_history

if TYPE_CHECKING:
    from pathlib import Path

    from patina_hooks.config.recipe import Recipe
    from patina_hooks.store.memory import Memory

JUDGED_ON: Final = tuple(name for name in MINED if name != "commit_files_cold")
"""The query sets that decide; `commit_files_cold` would repeat queries of `commit_files`."""

_MOST_QUESTIONS: Final = 2_000
"""Of a set: more queries than `patina eval` takes, since they narrow the interval."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainingInputs:
    """The inputs of a run.

    space: of the recipe's model, without a projection.
    pairs: of the planned kinds, in canonical order.
    pair_total: the number of pairs of all kinds.
    sets: the later queries that decide.
    missing: the history that is missing for a verdict, "" if there is enough.
    """

    recipe: Recipe
    space: VectorSpace
    planned: tuple[PlannedProjection, ...]
    history: History
    pairs: Sequence[TrainingPair]
    pair_total: int
    split: Split
    sets: Sequence[QuerySet]
    missing: str


def read_inputs(memory: Memory) -> TrainingInputs:
    """Read the inputs of a run.

    Raises:
        SettingsError: the recipe is invalid.
        StateError: the index does not have the vectors of the recipe's model yet.
        PluginError, ModelError: as `requested_space` and `plan_projections` do.
    """
    recipe = _recipe(memory)
    space = requested_space(memory.plugins, recipe, memory.repository.state)
    planned = plan_projections(memory.plugins, recipe, space.dimensions, space.judged_by)
    history, pairs, total = _read(
        memory.repository.state, space, {projection.pairs for projection in planned}
    )
    split = split_history(history) if history.sessions else Split(0, 0, 0)
    later = QueryFilter(most=_MOST_QUESTIONS, after=split.future - 1)
    sets = [query_set for query_set in mine(history, JUDGED_ON, later) if has_enough_clusters(query_set)]
    missing = describe_missing_history(len(history.sessions), sets)
    return TrainingInputs(recipe, space, planned, history, pairs, total, split, sets, missing)


def _recipe(memory: Memory) -> Recipe:
    current = load_configuration(memory.repository)
    if current.recipe is None:
        raise SettingsError("; ".join(fault.error for fault in current.faults))
    return current.recipe


def _read(
    state: Path, space: VectorSpace, kinds: Collection[str]
) -> tuple[History, Sequence[TrainingPair], int]:
    with Log(state, create=False) as log, log.reading() as connection:
        space_in_use = active_space(log)
        if space_in_use is None or space_in_use.fingerprint != space.fingerprint:
            raise StateError("the index has no vectors of the recipe's model yet", hint="patina sync")
        return read_history(connection), training_pairs(connection, kinds), counts(connection)["pairs"]
