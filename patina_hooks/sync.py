"""Sync: one way from git to answers. Reconcile, pairs, vectors; then the event hooks are told.

The caller holds the sync lock (`patina_hooks.git.lock`). Every stage commits what it did, so that a killed
sync loses only the step it was in, and the next one goes on from there.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field, fields, replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from patina_hooks.configuration import configuration
from patina_hooks.corpus.facts import counts
from patina_hooks.corpus.log import Log, set_aside
from patina_hooks.corpus.observations import Changed, Extractors
from patina_hooks.corpus.outcome import Reconciled
from patina_hooks.corpus.reconcile import reconcile
from patina_hooks.corpus.timeline import commits_of
from patina_hooks.errors import LogDamaged, PluginError, StateError
from patina_hooks.git.repository import Repository
from patina_hooks.pairs.update import Extracted, update_pairs
from patina_hooks.plugins import Plugins
from patina_hooks.recipe import Recipe
from patina_hooks.search.probing import compared_space, record_makers
from patina_hooks.search.vectors import Embedded, Space, VectorUpdate, projected_space, wanted_space
from patina_hooks.settings import Settings
from patina_hooks.types import Commit, Document, Fault

if TYPE_CHECKING:
    from patina_hooks.models.encoding import Encoder

    OpenModel = Callable[[Space], Encoder]

logger = logging.getLogger(__name__)
Progress = Callable[[str, int, int], None]
_MOST_FAULTS = 100
_EMBEDDED = "patina_embeddings_updated"
TURN_SECONDS = 5.0
"""Of embedding, after which who has more to embed lets go of the lock and begins the next sync: what was
committed meanwhile is found by its words, while a large model reads for hours."""


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a sync did. cut: texts embedded that are longer than the model reads; seconds: wall time;
    faults: what did not work while the rest went on.

    pending: texts without a vector; postponed: whether they only wait because there were more than asked for,
    or the time was up.
    """

    commits: int
    gone: int
    sessions: int
    added: int
    removed: int
    pairs: int
    encoded: int
    indexed: int
    cut: int
    pending: int
    postponed: bool
    seconds: float
    faults: tuple[Fault, ...]

    def then(self, later: SyncReport) -> SyncReport:
        """What this sync and the one that went on from it did together."""
        state = {"pending", "postponed", "faults"}
        counted = [one.name for one in fields(self) if one.name not in state]
        both = {name: getattr(self, name) + getattr(later, name) for name in counted}
        return replace(later, faults=tuple(dict.fromkeys((*self.faults, *later.faults))), **both)


@dataclass(frozen=True, slots=True)
class _Limits:
    """Of embedding: see `synchronise`."""

    most: int | None
    seconds: float | None


@dataclass(slots=True)
class _Run:
    """faults: what holds until it is mended; mishaps: what plugins did wrong when they were called."""

    faults: list[Fault] = field(default_factory=list)
    mishaps: list[Fault] = field(default_factory=list)
    paired: Extracted = field(default_factory=Extracted)
    embedded: Embedded = field(default_factory=Embedded)
    postponed: bool = False


def synchronise(
    repository: Repository,
    *,
    background: bool = False,
    full: bool = False,
    quick: bool = False,
    most: int | None = None,
    seconds: float | None = None,
    plugins: Plugins | None = None,
    open_model: OpenModel | None = None,
    progress: Progress | None = None,
) -> SyncReport:
    """Bring everything in line with the repository.

    background: log faults; a foreground caller reads them in the report.
    full: forget all that is derived (embeddings stay cached) and derive it anew.
    quick: what git and its hooks bring, and new documents; not what was written in place into an archived
        document within the hour (see `patina_hooks.corpus.stamps`).
    most: embed nothing now where more texts than this wait; the report says how many are pending.
    seconds: embed for about so long, and leave the rest to the next sync, see `TURN_SECONDS`.
    open_model: gives the encoder of a space, for a caller that has one open already.
    progress: called as (stage, done, total). Raises `StateError` where the state cannot be written.
    """
    plugins = plugins or Plugins.load()
    open_model, show = open_model or open_once(plugins), progress or (lambda *_: None)
    limits = _Limits(most, seconds)
    try:
        return _synchronise(repository, _Run(), background, full, quick, limits, plugins, open_model, show)
    except LogDamaged as damage:
        # All but the times at which things were recorded can be derived again.
        set_aside(repository.state)
        run = _Run([Fault("patina-hooks", "log", f"{damage}; it was set aside and begun anew")])
        return _synchronise(repository, run, background, full, quick, limits, plugins, open_model, show)


def _synchronise(
    repository: Repository,
    run: _Run,
    background: bool,
    full: bool,
    quick: bool,
    limits: _Limits,
    plugins: Plugins,
    open_model: OpenModel,
    show: Progress,
) -> SyncReport:
    begun = time.perf_counter()
    with _failures_said(repository.state), Log(repository.state) as log:
        if full:
            _begin_anew(log)
        said = configuration(repository)
        run.faults += said.faults
        extractors = Extractors(plugins, said.settings.redact)
        reconciled = reconcile(
            repository, log, extractors, said.settings, show, _wanted(plugins), quick=quick
        )
        run.mishaps += extractors.faults
        _pairs(log, plugins, run)
        _tell(repository, log, plugins, reconciled, run)
        if said.recipe is not None:
            _vectors(repository, log, plugins, said.recipe, run, open_model, limits, show, full)
        _leave_no_trace(log, said.settings)
        run.faults += plugins.faults
        _keep_faults(log, run, reconciled.anything)
        if background:
            for fault in dict.fromkeys((*run.faults, *run.mishaps)):
                logger.warning("%s: %s: %s", fault.plugin, fault.where, fault.error)
        return _report(reconciled, run, time.perf_counter() - begun)


@contextmanager
def _failures_said(state: Path) -> Iterator[None]:
    """A disk that is full, or may not be written, is no mistake of ours."""
    try:
        yield
    except OSError as error:
        what = error.filename or state
        raise StateError(f"{what}: {error.strerror or error}", hint="patina doctor") from error


def _wanted(plugins: Plugins) -> Reconciled:
    """A first sync reads all of history: it is held in memory only for plugins that want to hear of it."""
    return Reconciled(
        keep=plugins.listens("patina_commit_recorded"),
        changed=Changed(keep=plugins.listens("patina_observations_changed")),
    )


def _begin_anew(log: Log) -> None:
    log.check()
    with log.writing():
        space = log.fact("space")
        log.empty()
        log.remember("space", space)  # which answers until the recipe's own is whole


def _pairs(log: Log, plugins: Plugins, run: _Run) -> None:
    run.paired = update_pairs(log, plugins, keep=plugins.listens("patina_pairs_extracted"))
    run.mishaps += run.paired.faults


def open_once(plugins: Plugins) -> OpenModel:
    """Opens the model of a space, and gives the same one for as long as its spaces are asked for."""

    from patina_hooks.recipe import Reading

    @lru_cache(maxsize=1)
    def opened(model: str, runtime: str, reading: Reading) -> Encoder:
        from patina_hooks.models.encoding import open_encoder

        return open_encoder(plugins, model, runtime, reading=reading)

    return lambda space: opened(*space.opened_by)


def _vectors(
    repository: Repository,
    log: Log,
    plugins: Plugins,
    recipe: Recipe,
    run: _Run,
    open_model: OpenModel,
    limits: _Limits,
    show: Progress,
    full: bool,
) -> None:
    where = f"model {recipe.model}"
    try:
        compared = compared_space(
            plugins, log, repository.state, wanted_space(plugins, recipe, repository.state), open_model,
            always=full,
        )  # fmt: skip
        if compared.message:
            run.mishaps.append(Fault("patina-hooks", where, compared.message))
        space, project = compared.space, None
        try:
            space, project = projected_space(space, plugins, recipe, repository.state)
        except (StateError, PluginError) as error:
            told = f"{error}; the raw model answers"
            run.faults.append(Fault("patina-hooks", "projection", told, error.hint))
        opened = _recording(repository.state, open_model)
        update = VectorUpdate(log, repository.state, plugins, space, opened, show, project)
        run.embedded = update.run(most=limits.most, seconds=limits.seconds)
    except PluginError as error:
        run.faults.append(Fault("patina-hooks", where, str(error), error.hint))
        run.embedded.pending = counts(log.connection)["pending"]
        return
    run.postponed = run.embedded.pending > 0 or run.embedded.unfinished
    if run.embedded.untried:  # whether the model can be had by now, nobody knows
        run.faults += [fault for fault in kept_faults(log) if fault.where == where]
    if run.embedded.rebuilt:
        logger.warning("the vector index was rebuilt: %s", run.embedded.rebuilt)
    if run.embedded.added or run.embedded.removed:
        run.mishaps += plugins.notify(
            _EMBEDDED,
            model=recipe.model,
            added=run.embedded.added,
            removed=run.embedded.removed,
        )


def _recording(state: Path, open_model: OpenModel) -> OpenModel:
    """Have the makers of a model recorded that is opened to embed."""

    def opened(space: Space) -> Encoder:
        encoder = open_model(space)
        record_makers(state, encoder)
        return encoder

    return opened


def _tell(repository: Repository, log: Log, plugins: Plugins, reconciled: Reconciled, run: _Run) -> None:
    known = {commit.oid: commit for commit in reconciled.commits}
    for before, after in reconciled.sessions:
        if after and before is None:
            run.mishaps += plugins.notify("patina_session_started", session=after)
    for commit in _oldest_first(known):
        document = Document("commit", commit.oid, commit.message)
        run.mishaps += plugins.notify("patina_commit_recorded", commit=commit, documents=[document])
    for before, after in reconciled.sessions:
        if after and after.state == "ended" and (before is None or before.state != "ended"):
            oids = commits_of(log.connection, after.id)
            known |= {one.oid: one for one in repository.commits([oid for oid in oids if oid not in known])}
            commits = [known[oid] for oid in oids if oid in known]
            run.mishaps += plugins.notify("patina_session_ended", session=after, commits=commits)
    changed = reconciled.changed
    if changed.added or changed.removed:
        run.mishaps += plugins.notify(
            "patina_observations_changed", added=changed.added, removed=changed.removed
        )
    if run.paired.pairs:
        run.mishaps += plugins.notify("patina_pairs_extracted", pairs=run.paired.pairs)


def _oldest_first(commits: Mapping[str, Commit]) -> Iterator[Commit]:
    """By time of commit; where clocks were wrong, still each after its parents."""
    # Where somebody listens: a cold question imports this module too.
    from graphlib import TopologicalSorter
    from heapq import heappop, heappush

    sorter = TopologicalSorter(
        {commit.oid: [oid for oid in commit.parents if oid in commits] for commit in commits.values()}
    )
    sorter.prepare()
    waiting: list[tuple[int, str]] = []
    while sorter.is_active():
        for oid in sorter.get_ready():
            heappush(waiting, (commits[oid].committed, oid))
        _, first = heappop(waiting)
        yield commits[first]
        sorter.done(first)


def _leave_no_trace(log: Log, settings: Settings) -> None:
    """What new rules of redaction took out is not to stay in free pages and journals."""
    rules = sha256(json.dumps(settings.redact).encode()).hexdigest() if settings.redact else ""
    if log.fact("redaction") != rules:
        log.compact()
        with log.writing():
            log.remember("redaction", rules)


def _keep_faults(log: Log, run: _Run, reconciled: bool) -> None:
    """reconciled: whether plugins had anything of git's to read; what did not call them leaves their last
    mishaps to be seen. A turn that only embeds is no reason to forget those of the one before."""
    done = {True: run.embedded.added + run.embedded.removed > 0, False: reconciled}
    before = [fault for fault in _stored(log, "mishaps") if not done[fault.where == _EMBEDDED]]
    with log.writing():
        for name, faults in (("faults", run.faults), ("mishaps", [*before, *run.mishaps])):
            distinct = list(dict.fromkeys(faults))[:_MOST_FAULTS]
            stored = json.dumps([astuple(fault) for fault in distinct])
            if log.fact(name, "[]") != stored:
                log.remember(name, stored)
                log.record("fault", [(fault.plugin, f"{fault.where}: {fault.error}") for fault in distinct])
        log.remember("synced", str(int(time.time())))


def kept_faults(log: Log) -> list[Fault]:
    """What was at fault in the last sync, and in the last one that had anything to do."""
    return [fault for name in ("faults", "mishaps") for fault in _stored(log, name)]


def _stored(log: Log, name: str) -> list[Fault]:
    return [Fault(*fault) for fault in json.loads(log.fact(name, "[]"))]


def _report(reconciled: Reconciled, run: _Run, seconds: float) -> SyncReport:
    return SyncReport(
        commits=reconciled.read,
        gone=reconciled.gone,
        sessions=len(reconciled.sessions),
        added=reconciled.changed.came,
        removed=reconciled.changed.went,
        pairs=run.paired.came,
        encoded=run.embedded.encoded,
        indexed=run.embedded.added,
        cut=run.embedded.cut,
        pending=run.embedded.pending,
        postponed=run.postponed,
        seconds=seconds,
        faults=tuple(dict.fromkeys((*run.faults, *run.mishaps))),
    )
