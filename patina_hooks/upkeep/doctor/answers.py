"""Check vectors, projection, fusion weights, the model and plugins of search."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from patina_hooks.config.configuration import load_configuration
from patina_hooks.config.recipe import DEFAULT_INDEX, Reading
from patina_hooks.config.shared_files import RECIPE_FILE
from patina_hooks.errors import IndexDamaged, StateError
from patina_hooks.git.repository import Repository
from patina_hooks.plugins.manager import Plugins
from patina_hooks.store.log import Log
from patina_hooks.upkeep.doctor.finding import Finding, Level

if TYPE_CHECKING:
    from patina_hooks.search.index.recall import Recall


OTHER_MODEL = f"edit {RECIPE_FILE}: another model or runtime, or restore its files and run patina sync"
_LEAST_RECALL = 0.9
_LOOKS = ("", "patina plugins", "patina doctor")
"""Hints of commands that only show more."""


def check_vectors(repository: Repository, plugins: Plugins) -> Iterator[Finding]:
    """Check the vector files and the recall of an approximate index."""
    from patina_hooks.search.index.recall import sample_recall
    from patina_hooks.search.index.spaces import active_space

    if not repository.state.is_dir():
        return
    with Log(repository.state, create=False) as log:
        space = active_space(log)
        if space is None:
            yield Finding("vectors", "warning", "no vectors yet", "search uses words only", "patina sync")
            return
        try:
            index = space.open(plugins, repository.state)
            index.verify()
        except IndexDamaged as damage:
            # Not the damage's own hint: a sync trusts a file with the time and size of its last write.
            yield Finding("vectors", "fault", str(damage), "they must be rebuilt", "patina sync --full")
            return
        stats = index.stats()
        if log.number("generation") != stats.generation:
            message = "the vectors are not those that the log names"
            yield Finding("vectors", "warning", message, fix="patina sync")
        else:
            message = f"{stats.rows:,} vectors in {stats.files} files, checksums match"
            yield Finding("vectors", "ok", message)
        if plugins.index_backend(space.index).approximate:
            yield from _check_recall(lambda: sample_recall(plugins, repository.state, space, index))


def _check_recall(sample: Callable[[], Recall | None]) -> Iterator[Finding]:
    from patina_hooks.search.index.recall import LIMIT

    try:
        recall = sample()
    except StateError as error:
        level: Level = "fault" if isinstance(error, IndexDamaged) else "warning"
        yield Finding("recall", level, "cannot sample the recall of the index", str(error), error.hint)
        return
    if recall is None:
        return
    message = (
        f"the index finds {recall.share:.1%} of the {LIMIT} nearest that an exact scan finds"
        f" ({recall.questions} stored texts as queries, {recall.rows:,} vectors)"
    )
    figures = {f"recall@{LIMIT}": recall.share, "questions": recall.questions, "vectors": recall.rows}
    if recall.share >= _LEAST_RECALL:
        yield Finding("recall", "ok", message, figures=figures)
    else:
        fix = f"write in {RECIPE_FILE}: index: {DEFAULT_INDEX}"
        yield Finding("recall", "warning", message, "answers by meaning are missed", fix, figures)


def check_projection(repository: Repository, plugins: Plugins) -> Iterator[Finding]:
    """Check the projection in use."""
    # The imports of planning: only here.
    from patina_hooks.projection.active import load_active, open_weights
    from patina_hooks.search.index.spaces import active_space, requested_space
    from patina_hooks.store.facts import events_hash
    from patina_hooks.training.reports.lock import LOCK_FILE, read_lock
    from patina_hooks.training.staleness import read_projection_status

    recipe = load_configuration(repository).recipe
    if recipe is None or not repository.state.is_dir():
        return
    with Log(repository.state, create=False) as log:
        space, events = active_space(log), events_hash(log.connection)
    used = space.projection if space else ""
    if active := load_active(repository.state):
        open_weights(repository.state, plugins, active.weights)
    requested = requested_space(plugins, recipe, repository.state)
    status = read_projection_status(plugins, recipe, repository.state, events, requested, used)
    yield Finding("projection", "ok", f"in use: {status.name}")
    for warning, command in status.warnings:
        yield Finding("projection", "warning", warning, fix=command)
    for name, reason in status.stale:
        # New history is not an error, and a projection that helped still helps.
        level: Level = "ok" if "history" in reason else "warning"
        yield Finding("projection", level, f"{name} is stale", reason, "patina oxidize")
    lock = read_lock(repository.main_root())
    if lock is not None and lock.get("events_hash") != events:
        reason = "it was built from another history"
        yield Finding("projection", "ok", f"{LOCK_FILE} is stale", reason, "patina oxidize")


def check_fusion(repository: Repository, plugins: Plugins) -> Iterator[Finding]:
    """Check the tuned weights of search."""
    from patina_hooks.search.index.spaces import active_space
    from patina_hooks.search.stored_weights import (
        describe_unused_weights,
        find_usable_weights,
        load_tuned_weights,
    )

    if not repository.state.is_dir():
        return
    with Log(repository.state, create=False) as log:
        space = active_space(log)
    tuned = load_tuned_weights(repository.state)
    used, reason = find_usable_weights(repository.state, space) if space else (None, "")
    if reason:
        yield Finding(
            "fusion",
            "warning",
            describe_unused_weights(reason),
            "using default weights",
            "patina eval --tune",
        )
    elif used:
        yield Finding("fusion", "ok", "search uses the weights of patina eval --tune")
    else:
        reason = "the tuned ones are not better on later questions" if tuned else "none were tuned"
        yield Finding("fusion", "ok", f"search uses the default weights: {reason}")


def check_model(repository: Repository, plugins: Plugins) -> Iterator[Finding]:
    """Open the recipe's model and run the contract checks."""
    recipe = load_configuration(repository).recipe
    if recipe is None:
        return
    # Opens the model: only here.
    from patina_hooks.testing.contract import run_contract

    results = run_contract(plugins, recipe.model, recipe.runtime, reading=recipe.reading)
    failed = [result for result in results if not result.passed]
    name = f"{recipe.model}{_read_with(recipe.reading)}"
    if not failed:
        yield Finding("model", "ok", f"{name}: {len(results)} contract checks pass")
    for result in failed:
        fix = result.hint if result.hint not in _LOOKS else OTHER_MODEL
        yield Finding("model", "fault", f"{name}: {result.name}", result.detail, fix)


def check_search_plugins(repository: Repository, plugins: Plugins) -> Iterator[Finding]:
    """Run the contract checks of search functions of plugins, on a small repository."""
    # Opens every function: only here.
    from patina_hooks.testing.search import run_search_contract

    for report in run_search_contract(plugins):
        failed = [result for result in report.results if not result.passed]
        name = f"{report.plugin}: {report.function}"
        if not failed:
            yield Finding("search", "ok", f"{name}: {len(report.results)} contract checks pass")
        for result in failed:
            fix = f"PATINA_DISABLE_PLUGINS={report.plugin} turns it off"
            yield Finding("search", "fault", f"{name}: {result.name}", result.detail, fix)


def check_engine_versions(repository: Repository, plugins: Plugins) -> Iterator[Finding]:
    """Compare the probe vectors of the recipe's model now with the stored ones."""
    from patina_hooks.models.probes import ProbeRecord, variant_of
    from patina_hooks.search.index.probing import probe
    from patina_hooks.search.index.spaces import requested_space
    from patina_hooks.search.opening import open_space_encoder

    recipe = load_configuration(repository).recipe
    if recipe is None or not repository.state.is_dir():
        return
    space = requested_space(plugins, recipe, repository.state)
    record = ProbeRecord(repository.state)
    if not record.has_probes(space.base):
        return
    encoder = open_space_encoder(plugins, space)
    variant = record.match(space.base, probe(encoder))
    releases = ", ".join(encoder.engine_versions.releases)
    if variant is None or variant_of(space.base, variant) != space.fingerprint:
        message = f"the runtime {space.runtime} gives other vectors for {space.model} than the indexed ones"
        yield Finding("probes", "fault", message, f"installed: {releases}", "patina sync --full")
    else:
        yield Finding("probes", "ok", f"the vectors of {releases} match the indexed ones")


def _read_with(reading: Reading) -> str:
    """Describe how the recipe's model is read, as in " (truncate: 256)", "" by default."""
    options = [f"{key}: {value}" for key, value in asdict(reading).items() if value is not None]
    return f" ({', '.join(options)})" if options else ""
