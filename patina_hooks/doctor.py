"""The doctor: every part looked at, each finding with what, why and what mends it. Nothing is changed."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from patina_hooks.configuration import configuration
from patina_hooks.corpus.log import Log
from patina_hooks.errors import IndexDamaged, PatinaError, StateError
from patina_hooks.files import refuse_links
from patina_hooks.git.repository import Repository
from patina_hooks.plugins import Plugins
from patina_hooks.recipe import DEFAULT_INDEX, RECIPE_FILE, Reading

if TYPE_CHECKING:
    from patina_hooks.search.recall import Recall

Level = Literal["ok", "warning", "fault"]
_LOG_TAIL = 20_000
_OLDEST_GIT = (2, 31)
_LEAST_RECALL = 0.9


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check saw. why: the reason, "" where all is well; fix: the next command to type; figures: what
    was measured, by name."""

    check: str
    level: Level
    what: str
    why: str = ""
    fix: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)


def examine(repository: Repository, plugins: Plugins) -> list[Finding]:
    """Run every check; one that fails itself is a finding and does not stop the others."""
    findings: list[Finding] = []
    for check in (
        _git,
        _configuration,
        _hooks,
        _state,
        _log,
        _embeddings,
        _vectors,
        _projection,
        _fusion,
        _model,
        _plugins,
        _worker,
    ):
        try:
            findings += check(repository, plugins)
        except PatinaError as error:
            findings.append(Finding(_name(check), "fault", str(error), fix=error.hint))
        except (OSError, sqlite3.DatabaseError) as error:
            findings.append(Finding(_name(check), "fault", str(error)))
    return findings


def _name(check: Callable[..., object]) -> str:
    return check.__name__.lstrip("_")


def _git(repository: Repository, plugins: Plugins) -> Iterator[Finding]:
    version = repository.git.text("version")
    numbers = re.search(r"(\d+)\.(\d+)", version)
    if numbers and (int(numbers[1]), int(numbers[2])) < _OLDEST_GIT:
        yield Finding("git", "fault", version, "patina reads with options of git 2.31", "update git")
    else:
        yield Finding("git", "ok", version)
    if repository.shallow():
        why = "what lies beyond the border is not recorded"
        yield Finding("git", "warning", "this clone is shallow", why, "git fetch --unshallow")
    if repository.in_progress():
        why = "the worker waits for its end"
        yield Finding("git", "warning", "a rebase, am or cherry-pick is under way", why, "git status")


def _configuration(repository: Repository, plugins: Plugins) -> Iterator[Finding]:
    said = configuration(repository)
    for fault in said.faults:
        place = fault.error.partition(": ")[0]
        yield Finding(fault.where, "fault", fault.error, fix=f"edit {place}")
    if all(fault.where != "settings" for fault in said.faults):
        yield Finding("settings", "ok", f"session documents in {said.settings.sessions_folder}")
    if said.recipe is not None:
        recipe = said.recipe
        yield Finding("recipe", "ok", f"model {recipe.model}, runtime {recipe.runtime}, index {recipe.index}")


def _hooks(repository: Repository, plugins: Plugins) -> Iterator[Finding]:
    from patina_hooks.git.hooks import inspect

    installation = inspect(repository)
    absent = [hook for hook in installation.hooks if hook.way == "absent" or hook.note]
    if not absent:
        yield Finding("hooks", "ok", f"{len(installation.hooks)} installed in {installation.folder}")
    for hook in absent:
        why = hook.note or "commits are recorded only when a patina command runs"
        yield Finding("hooks", "warning", f"{hook.event}: {hook.way}", why, "patina install")
    interpreter = installation.interpreter
    if interpreter and not os.access(interpreter, os.X_OK):
        yield Finding("hooks", "fault", f"the hooks run {interpreter}", "it is not there", "patina install")


def _state(repository: Repository, plugins: Plugins) -> Iterator[Finding]:
    state = repository.state
    refuse_links(state)
    if not state.is_dir():
        yield Finding("state", "warning", f"{state} is not there", "nothing is recorded yet", "patina init")
    elif not os.access(state, os.W_OK):
        yield Finding(
            "state", "fault", f"{state} cannot be written", "nothing new is recorded", f"ls -ld {state}"
        )
    elif state.stat().st_mode & 0o077:
        yield Finding("state", "warning", f"{state} can be read by others", fix=f"chmod 700 {state}")
    else:
        yield Finding("state", "ok", str(state))


def _log(repository: Repository, plugins: Plugins) -> Iterator[Finding]:
    if not repository.state.is_dir():
        return
    with Log(repository.state, create=False) as log:
        log.check()
        yield Finding("log", "ok", "the database is sound")
        from patina_hooks.corpus.facts import counts
        from patina_hooks.sync import kept_faults

        for fault in kept_faults(log):
            fix = fault.hint or "patina log --kind fault"
            yield Finding("log", "fault", f"{fault.plugin}: {fault.where}", fault.error, fix)
        pending = counts(log.connection)["pending"]
        if pending:
            why = "they are found by their words, not yet by their meaning"
            yield Finding("log", "warning", f"{pending:,} texts are not embedded yet", why, "patina sync")


def _embeddings(repository: Repository, plugins: Plugins) -> Iterator[Finding]:
    from patina_hooks.models.cache import check_embeddings

    if not repository.state.is_dir():
        return
    many = check_embeddings(repository.state)
    yield Finding(
        "embeddings", "ok", f"{many:,} are kept, the database is sound" if many else "none are kept"
    )


def _vectors(repository: Repository, plugins: Plugins) -> Iterator[Finding]:
    from patina_hooks.search.recall import sample_recall
    from patina_hooks.search.vectors import answering_space

    if not repository.state.is_dir():
        return
    with Log(repository.state, create=False) as log:
        space = answering_space(log)
        if space is None:
            yield Finding("vectors", "warning", "no vectors yet", "words alone answer", "patina sync")
            return
        try:
            index = space.open(plugins, repository.state)
            index.verify()
        except IndexDamaged as damage:
            # Not the damage's own hint: a sync trusts a file that nobody touched since it was written.
            yield Finding("vectors", "fault", str(damage), "they are made anew", "patina sync --full")
            return
        stats = index.stats()
        if log.fact("generation") != str(stats.generation):
            yield Finding("vectors", "warning", "the index is not the one the log knows", fix="patina sync")
        else:
            yield Finding(
                "vectors", "ok", f"{stats.rows:,} vectors in {stats.files} files, every byte as written"
            )
        if plugins.index_backend(space.index).approximate:
            yield from _recall(lambda: sample_recall(plugins, repository.state, space, index))


def _recall(sample: Callable[[], Recall | None]) -> Iterator[Finding]:
    from patina_hooks.search.recall import LIMIT

    try:
        recall = sample()
    except StateError as error:
        level: Level = "fault" if isinstance(error, IndexDamaged) else "warning"
        what = "how much the index finds cannot be sampled"
        yield Finding("recall", level, what, str(error), error.hint)
        return
    if recall is None:
        return
    what = (
        f"the index finds {recall.found:.1%} of the {LIMIT} nearest that an exact scan finds"
        f" ({recall.questions} stored texts asked, {recall.rows:,} vectors)"
    )
    figures = {f"recall@{LIMIT}": recall.found, "questions": recall.questions, "vectors": recall.rows}
    if recall.found >= _LEAST_RECALL:
        yield Finding("recall", "ok", what, figures=figures)
    else:
        fix = f"write in {RECIPE_FILE}: index: {DEFAULT_INDEX}"
        yield Finding("recall", "warning", what, "answers by meaning are missed", fix, figures)


def _projection(repository: Repository, plugins: Plugins) -> Iterator[Finding]:
    # What it takes to plan: only here.
    from patina_hooks.corpus.facts import events_hash
    from patina_hooks.projection.active import load_active, open_weights
    from patina_hooks.projection.lock import LOCK_FILE, read_lock
    from patina_hooks.projection.staleness import standing
    from patina_hooks.search.vectors import answering_space, wanted_space

    recipe = configuration(repository).recipe
    if recipe is None or not repository.state.is_dir():
        return
    with Log(repository.state, create=False) as log:
        space, events = answering_space(log), events_hash(log.connection)
    used = space.projection if space else ""
    if active := load_active(repository.state):
        open_weights(repository.state, plugins, active.weights)
    stands = standing(plugins, recipe, repository.state, events, wanted_space(plugins, recipe), used)
    yield Finding("projection", "ok", f"in use: {stands.name}")
    for warning, command in stands.warnings:
        yield Finding("projection", "warning", warning, fix=command)
    for name, why in stands.stale:
        # A history goes on: that is no mistake, and a projection that helped goes on helping.
        level: Level = "ok" if "history" in why else "warning"
        yield Finding("projection", level, f"{name} is stale", why, "patina oxidize")
    lock = read_lock(repository.main_root())
    if lock is not None and lock.get("events_hash") != events:
        why = "it was built from another history"
        yield Finding("projection", "ok", f"{LOCK_FILE} is stale", why, "patina oxidize")


def _fusion(repository: Repository, plugins: Plugins) -> Iterator[Finding]:
    from patina_hooks.search.tuned import load_tuned, remark, tuned_for
    from patina_hooks.search.vectors import answering_space

    if not repository.state.is_dir():
        return
    with Log(repository.state, create=False) as log:
        space = answering_space(log)
    tuned = load_tuned(repository.state)
    used, why = tuned_for(repository.state, space) if space else (None, "")
    if why:
        yield Finding("fusion", "warning", remark(why), "the usual ones are", "patina eval --tune")
    elif used:
        yield Finding("fusion", "ok", "search uses the weights of patina eval --tune")
    else:
        told = "later questions did not bear out those that were tuned" if tuned else "none were tuned"
        yield Finding("fusion", "ok", f"search uses the usual weights: {told}")


def _model(repository: Repository, plugins: Plugins) -> Iterator[Finding]:
    recipe = configuration(repository).recipe
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
        fix = result.hint or "patina plugins"
        yield Finding("model", "fault", f"{name}: {result.name}", result.detail, fix)


def _read_with(reading: Reading) -> str:
    """What a recipe says of how its model is read: " (truncate: 256)", "" where that is nothing."""
    said = [f"{key}: {value}" for key, value in asdict(reading).items() if value is not None]
    return f" ({', '.join(said)})" if said else ""


def _plugins(repository: Repository, plugins: Plugins) -> Iterator[Finding]:
    infos = plugins.info()
    names = ", ".join(f"{one.name} {one.version}".strip() for one in infos)
    yield Finding("plugins", "ok", f"loaded: {names}")
    for fault in plugins.faults:
        fix = f"PATINA_DISABLE_PLUGINS={fault.plugin} turns it off"
        yield Finding("plugins", "fault", f"{fault.plugin}: {fault.where}", fault.error, fix)


def _worker(repository: Repository, plugins: Plugins) -> Iterator[Finding]:
    from patina_hooks.git import spool
    from patina_hooks.worker import LOG

    if not repository.state.is_dir():
        return
    waiting = spool.pending(repository.state)
    if waiting:
        yield Finding("worker", "warning", "events wait for the worker", f"{waiting} bytes", "patina sync")
    errors = _last_errors(repository.state / LOG)
    if errors:
        why = f"see {repository.state / LOG}"
        yield Finding("worker", "warning", f"its log ends with: {errors[-1]}", why, "patina sync")
    elif not waiting:
        yield Finding("worker", "ok", "nothing waits")


def _last_errors(path: Path) -> list[str]:
    """Errors since the worker last said that all is in step."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _LOG_TAIL))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    errors: list[str] = []
    for line in lines:
        if " INFO in step" in line:
            errors.clear()
        elif " ERROR " in line:
            errors.append(line)
    return errors
