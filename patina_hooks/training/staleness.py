"""Whether what was learned still fits the recipe, the model and the history."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from patina_hooks.projection.active import is_raw_wanted, load_active, weights_file
from patina_hooks.specs.reports import Report
from patina_hooks.specs.training import OUT_OF_TIME
from patina_hooks.training.plan import plan
from patina_hooks.training.reports.report import NONE, last_report

if TYPE_CHECKING:
    from patina_hooks.config.recipe import Recipe
    from patina_hooks.plugins.manager import Plugins
    from patina_hooks.search.index.spaces import VectorSpace
    from patina_hooks.training.plan import Planned


@dataclass(frozen=True, slots=True)
class Standing:
    """What is in use, and what is to be said of it. name: "none" for the raw model; stale: (projection, why)
    of what `patina oxidize` would train again; warnings: (what, the command that changes it) of what is in
    use against the gate, or cannot be."""

    name: str
    stale: tuple[tuple[str, str], ...]
    warnings: tuple[tuple[str, str], ...]


def standing(
    plugins: Plugins,
    recipe: Recipe | None,
    state: Path,
    events_hash: str,
    wanted: VectorSpace | None,
    used: str,
) -> Standing:
    """How the projections stand. wanted: the space of the recipe's model, None where it cannot be had; used:
    the hash of the weights that the answering index was made with, "" for none.

    Raises `StateError` where a file is damaged, `SettingsError` and `PluginError` as `plan` does.
    """
    active, report = load_active(state), last_report(state)
    name = active.name if active and active.weights == used else used[:16] or NONE
    stale: list[tuple[str, str]] = []
    if recipe is not None and wanted is not None and (report is not None or recipe.projections):
        planned = plan(plugins, recipe, wanted.dimensions, wanted.judged_by)
        told = [(one.name, why_stale(one, report, events_hash, state)) for one in planned]
        stale = [(name, why) for name, why in told if why]
    return Standing(name, tuple(stale), tuple(_warnings(state, recipe, wanted, used)))


def _warnings(
    state: Path, recipe: Recipe | None, wanted: VectorSpace | None, used: str
) -> Iterator[tuple[str, str]]:
    active = load_active(state)
    if active is None:
        if is_raw_wanted(state):
            yield "the raw model answers, because it was asked for", "patina oxidize"
        return
    if active.forced:
        yield f"{active.name} is used against the gate, because it was forced", "patina oxidize --raw"
    if recipe is not None and active.name not in recipe.learned:
        yield (
            f"the recipe names no projection {active.name} any more: the raw model answers",
            "patina oxidize",
        )
    elif wanted is not None and active.fingerprint != wanted.fingerprint:
        yield f"{active.name} was learned for another model: the raw model answers", "patina oxidize"
    elif active.weights != used:
        yield f"{active.name} does not answer yet", "patina sync"


def why_stale(one: Planned, report: Report | None, events_hash: str, state: Path) -> str:
    """Why a projection has to be trained, "" where the last run's still holds."""
    before = report.outcome(one.name) if report else None
    if before is None:
        return "it was never trained"
    if before.digest != one.digest:
        return "the recipe, the model or a plugin changed since it was trained"
    if before.events_hash != events_hash:
        return "the history changed since it was trained"
    if not before.weights:
        return "" if before.lacks else f"it was not trained: {before.why}"
    if before.stopped == OUT_OF_TIME:
        return "its training ran out of time"
    return "" if weights_file(state, before.weights).is_file() else "its weights are gone"
