"""Whether projections are up to date with recipe, model and history."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from patina_hooks.projection.active import is_raw_requested, load_active, weights_file
from patina_hooks.specs.reports import Report
from patina_hooks.specs.training import OUT_OF_TIME
from patina_hooks.training.plan import plan_projections
from patina_hooks.training.reports.report import NONE, last_report

if TYPE_CHECKING:
    from patina_hooks.config.recipe import Recipe
    from patina_hooks.plugins.manager import Plugins
    from patina_hooks.search.index.spaces import VectorSpace
    from patina_hooks.training.plan import PlannedProjection


@dataclass(frozen=True, slots=True)
class ProjectionStatus:
    """The projection in use, stale projections and warnings.

    name: the projection in use, "none" for the raw model.
    stale: (projection, reason) of those that `patina oxidize` would train.
    warnings: (message, command that resolves it).
    """

    name: str
    stale: tuple[tuple[str, str], ...]
    warnings: tuple[tuple[str, str], ...]


def read_projection_status(
    plugins: Plugins,
    recipe: Recipe | None,
    state: Path,
    events_hash: str,
    requested_space: VectorSpace | None,
    used_weights: str,
) -> ProjectionStatus:
    """Read the status of the projections.

    Args:
        plugins: the installed plugins.
        recipe: the recipe of the repository, None without a valid one.
        state: the state folder.
        events_hash: that of the history.
        requested_space: the space of the recipe's model, None if it is not available.
        used_weights: the hash of the weights of the index in use, "" without a projection.

    Raises:
        StateError: a file is damaged.
        SettingsError, PluginError: as `plan_projections` does.
    """
    active, report = load_active(state), last_report(state)
    name = active.name if active and active.weights == used_weights else used_weights[:16] or NONE
    stale: list[tuple[str, str]] = []
    if recipe is not None and requested_space is not None and (report is not None or recipe.projections):
        planned = plan_projections(plugins, recipe, requested_space.dimensions, requested_space.judged_by)
        reasons = [
            (projection.name, explain_staleness(projection, report, events_hash, state))
            for projection in planned
        ]
        stale = [(name, reason) for name, reason in reasons if reason]
    return ProjectionStatus(
        name, tuple(stale), tuple(_warnings(state, recipe, requested_space, used_weights))
    )


def _warnings(
    state: Path, recipe: Recipe | None, requested_space: VectorSpace | None, used_weights: str
) -> Iterator[tuple[str, str]]:
    active = load_active(state)
    if active is None:
        if is_raw_requested(state):
            yield "the raw model answers: patina oxidize --raw selected it", "patina oxidize"
        return
    if active.forced:
        yield f"{active.name} is used because it was forced: the gate refuses it", "patina oxidize --raw"
    if recipe is not None and active.name not in recipe.learned:
        yield (
            f"the recipe no longer has a projection {active.name}: the raw model answers",
            "patina oxidize",
        )
    elif requested_space is not None and active.fingerprint != requested_space.fingerprint:
        yield f"{active.name} was trained for another model: the raw model answers", "patina oxidize"
    elif active.weights != used_weights:
        yield f"{active.name} is not used yet", "patina sync"


def explain_staleness(
    planned: PlannedProjection, report: Report | None, events_hash: str, state: Path
) -> str:
    """Return why a projection must be trained, "" if its last outcome is up to date."""
    previous = report.outcome(planned.name) if report else None
    if previous is None:
        return "it was never trained"
    if previous.digest != planned.digest:
        return "the recipe, the model or a plugin changed since it was trained"
    if previous.events_hash != events_hash:
        return "the history changed since it was trained"
    if not previous.weights:
        return "" if previous.lacks else f"it was not trained: {previous.why}"
    if previous.stopped == OUT_OF_TIME:
        return "its training ran out of time"
    return "" if weights_file(state, previous.weights).is_file() else "its weights are missing"
