"""Sync: one way from git to answers. Reconcile, pairs, vectors; then, without a lock, the event hooks.

`synchronise` takes the sync lock, releases it, and delivers the events: no caller can do so with a lock held.
Every stage commits what it did, so that a killed sync loses only the step it was in, and the next one goes
on from there.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from patina_hooks.config.configuration import refresh_configuration
from patina_hooks.config.recipe import Recipe
from patina_hooks.corpus.observations import Changed, Extractors
from patina_hooks.corpus.outcome import Reconciled
from patina_hooks.corpus.reconcile import reconcile
from patina_hooks.errors import IndexUnavailable, LockHeld, LogDamaged, PluginError, StateError
from patina_hooks.git.lock import SYNC_LOCK, SyncLock
from patina_hooks.git.repository import Repository
from patina_hooks.models.provenance import record_releases
from patina_hooks.pairs.update import Extracted, update_pairs
from patina_hooks.plugins.calls import recorded_in
from patina_hooks.plugins.manager import Plugins
from patina_hooks.search.index.probing import compared_space, record_makers
from patina_hooks.search.index.spaces import VectorSpace, projected_space, requested_space
from patina_hooks.search.index.vector_update import Embedded, VectorUpdate
from patina_hooks.search.remarks.refused import refused_texts
from patina_hooks.search.steps import record_steps
from patina_hooks.specs.plugins import Fault
from patina_hooks.store.corpus.sessions import read_commits_of_session
from patina_hooks.store.facts import counts
from patina_hooks.store.log import Log, set_aside
from patina_hooks.store.recorded_faults import kept_faults, store_faults, stored_faults
from patina_hooks.system.files import make_private
from patina_hooks.system.worker_log import WORKER, resolve_errors
from patina_hooks.upkeep.collections import Collections, begin_again, leave_no_trace
from patina_hooks.upkeep.environments import record_background
from patina_hooks.upkeep.events import (
    COMMIT_RECORDED,
    EMBEDDINGS_UPDATED,
    OBSERVATIONS_CHANGED,
    PAIRS_EXTRACTED,
    SESSION_ENDED,
    EventQueue,
)
from patina_hooks.upkeep.hook_delivery import Deliver, deliver_events

if TYPE_CHECKING:
    from patina_hooks.models.encoding import Encoder

    OpenModel = Callable[[VectorSpace], Encoder]

logger = logging.getLogger(__name__)
Progress = Callable[[str, int, int], None]
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
    """faults: what holds until it is fixed; mishaps: what plugins did wrong when they were called.

    is_reconciled: whether the log is in line with git, so that the events are true. keeps_absent: see
    `synchronise`.
    """

    events: EventQueue
    keeps_absent: bool = True
    faults: list[Fault] = field(default_factory=list)
    mishaps: list[Fault] = field(default_factory=list)
    paired: Extracted = field(default_factory=Extracted)
    embedded: Embedded = field(default_factory=Embedded)
    postponed: bool = False
    is_reconciled: bool = False

    def begin_again(self, plugins: Plugins, damage: LogDamaged) -> None:
        """Forget what was done with a log that was damaged."""
        self.events, self.mishaps, self.is_reconciled = EventQueue(plugins), [], False
        self.faults = [Fault("patina-hooks", "log", f"{damage}; it was set aside and begun again")]


def synchronise(
    repository: Repository,
    *,
    background: bool = False,
    full: bool = False,
    quick: bool = False,
    keep_absent: bool = True,
    most: int | None = None,
    seconds: float | None = None,
    wait: float | None = None,
    plugins: Plugins | None = None,
    open_model: OpenModel | None = None,
    progress: Progress | None = None,
    deliver: Deliver | None = None,
) -> SyncReport:
    """Update the log from the repository under the sync lock, then deliver the events.

    Args:
        background: log faults; a foreground caller reads them in the report.
        full: forget all that is derived (embeddings stay cached) and derive it again.
        quick: what git and its hooks bring, and new documents; not what was written in place into an
            archived document within the hour (see `patina_hooks.corpus.stamps`).
        keep_absent: whether what extractors and pair generators made stays that are not installed here.
        most: embed nothing now where more texts than this wait; the report says how many are pending.
        seconds: embed for about so long, and leave the rest to the next sync, see `TURN_SECONDS`.
        wait: seconds to wait for another process that syncs; None waits for as long as it takes.
        open_model: gives the encoder of a space, for a caller that has one open already.
        progress: called as (stage, done, total).
        deliver: takes the events once the lock is released; by default event hooks are called here.

    Raises:
        LockHeld: another process still held the sync lock after `wait` seconds.
        StateError: the state cannot be written.
    """
    plugins = plugins or Plugins.load()
    deliver = deliver or partial(deliver_events, repository, plugins)
    make_private(repository.state)
    run = _Run(EventQueue(plugins), keep_absent)
    open_model, show = open_model or open_once(plugins), progress or (lambda *_: None)
    given = background, full, quick, _Limits(most, seconds), plugins, open_model, show
    try:
        with recorded_in(repository.state):
            report = _synchronise_locked(repository, run, wait, *given)
    except Exception:
        if run.is_reconciled:
            deliver(run.events)
        raise
    if not background:
        resolve_errors(repository.state, WORKER)
    return replace(report, faults=tuple(dict.fromkeys((*report.faults, *deliver(run.events)))))


def _synchronise_locked(
    repository: Repository,
    run: _Run,
    wait: float | None,
    background: bool,
    full: bool,
    quick: bool,
    limits: _Limits,
    plugins: Plugins,
    open_model: OpenModel,
    show: Progress,
) -> SyncReport:
    given = background, full, quick, limits, plugins, open_model, show
    lock, left = SyncLock(repository.state / SYNC_LOCK), False
    if not lock.acquire(wait):
        raise LockHeld("another patina process is syncing this repository", hint="patina doctor")
    try:
        try:
            report = _synchronise(repository, run, *given)
        except LogDamaged as damage:
            # All but the times at which things were recorded can be derived again.
            set_aside(repository.state)
            run.begin_again(plugins, damage)
            report = _synchronise(repository, run, *given)
        left = report.postponed and limits.most is None
        return report
    finally:
        lock.release(give_way=left)


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
    with _failures_said(repository.state), Log(repository.state) as log, ExitStack() as stack:
        if full:
            begin_again(log)
        said = refresh_configuration(repository, quick=quick)
        run.faults += said.faults
        extractors = Extractors(plugins, said.redaction, run.keeps_absent)
        reconciled = reconcile(
            repository, log, extractors, said.settings, show, _listened(run.events), quick=quick
        )
        run.mishaps += [*extractors.faults, *reconciled.faults]
        collections = stack.enter_context(
            Collections(repository, log, extractors, said.settings, show, full=full, quick=quick)
        )
        run.mishaps += collections.reconcile(reconciled.changed)
        _pairs(log, plugins, run, retry=not quick)
        record_releases(log, plugins)
        if background:
            record_background(log, plugins)
        _queue(log, reconciled, run)
        if said.recipe is not None:
            record_steps(log, said.recipe.search)
            _vectors(repository, log, plugins, said.recipe, run, open_model, limits, show, full)
            _collection_vectors(collections, said.recipe, run, open_model, limits, show, begun)
        leave_no_trace(log, extractors.redaction)
        collections.leave_no_trace()
        run.faults += plugins.faults
        _keep_faults(log, run, reconciled.anything, quick)
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


def _listened(events: EventQueue) -> Reconciled:
    """A first sync reads all of history: it is kept only for plugins that listen."""
    commits = events.listens(COMMIT_RECORDED) or events.listens(SESSION_ENDED)
    observations = events.listens(OBSERVATIONS_CHANGED)
    return Reconciled(
        on_commit=events.add_commit if commits else None,
        changed=Changed(
            on_added=events.add_observation if observations else None,
            on_removed=events.remove_observation if observations else None,
        ),
    )


def _pairs(log: Log, plugins: Plugins, run: _Run, *, retry: bool) -> None:
    listened = run.events.listens(PAIRS_EXTRACTED)
    run.paired = update_pairs(
        log, plugins, on_pair=run.events.add_pair if listened else None, retry=retry,
        keep_absent=run.keeps_absent,
    )  # fmt: skip
    run.mishaps += run.paired.faults


def open_once(plugins: Plugins) -> OpenModel:
    """Opens the model of a space, and gives the same one for as long as its spaces are asked for."""

    from patina_hooks.config.recipe import Reading

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
            plugins, log, repository.state, requested_space(plugins, recipe, repository.state), open_model,
            always=full,
        )  # fmt: skip
        if compared.message:
            run.mishaps.append(Fault("patina-hooks", where, compared.message, "patina sync"))
        space, project = compared.space, None
        try:
            space, project = projected_space(space, plugins, recipe, repository.state)
        except (StateError, PluginError) as error:
            if plugins.is_strict and isinstance(error, PluginError):
                raise
            told = f"{error}; the raw model answers"
            fault = Fault("patina-hooks", "projection", told, error.hint)
            run.faults.append(fault)
            if isinstance(error, PluginError) and error.plugin:
                plugins.failures.add(fault, error)
        opened = _recording(repository.state, open_model)
        update = VectorUpdate(log, repository.state, plugins, space, opened, show, project)
        run.embedded = update.run(most=limits.most, seconds=limits.seconds, retry=full)
        run.mishaps += _refusals(log, run.embedded.refused)
    except PluginError as error:
        if plugins.is_strict:
            raise
        where = f"index {recipe.index}" if isinstance(error, IndexUnavailable) else where
        fault = Fault(error.plugin or "patina-hooks", where, str(error), error.hint)
        run.faults.append(fault)
        if error.plugin:
            plugins.failures.add(fault, error)
        run.embedded.pending = counts(log.connection)["pending"]
        return
    run.postponed = run.embedded.pending > 0 or run.embedded.unfinished
    if run.embedded.untried:  # whether the model can be had by now, nobody knows
        run.faults += [fault for fault in kept_faults(log) if fault.where == where]
    if run.embedded.rebuilt:
        logger.warning("the vector index was rebuilt: %s", run.embedded.rebuilt)
    if run.embedded.added or run.embedded.removed:
        run.events.add_embeddings(recipe.model, run.embedded.added, run.embedded.removed)


def _collection_vectors(
    collections: Collections,
    recipe: Recipe,
    run: _Run,
    open_model: OpenModel,
    limits: _Limits,
    show: Progress,
    begun: float,
) -> None:
    """Embed the texts of the collections other than history, once those of history have their vectors."""
    waiting = collections.pending()
    ready = not run.postponed and not run.embedded.pending
    if not ready or (limits.most is not None and waiting > limits.most):
        run.embedded.pending += waiting
        run.postponed = run.postponed or waiting > 0
        return
    left = None if limits.seconds is None else max(0.0, limits.seconds - (time.perf_counter() - begun))
    opened = _recording(collections.repository.state, open_model)
    try:
        for embedded in collections.embed(recipe, opened, show, left):
            run.embedded.encoded += embedded.encoded
            run.embedded.cut += embedded.cut
            run.embedded.pending += embedded.pending
            run.postponed = run.postponed or embedded.pending > 0 or embedded.unfinished
            if embedded.added or embedded.removed:
                run.embedded.added += embedded.added
                run.embedded.removed += embedded.removed
                run.events.add_embeddings(recipe.model, embedded.added, embedded.removed)
    except PluginError as error:
        if collections.plugins.is_strict:
            raise
        fault = Fault(error.plugin or "patina-hooks", f"model {recipe.model}", str(error), error.hint)
        run.faults.append(fault)
        run.embedded.pending += collections.pending()


def _refusals(log: Log, refused: Mapping[bytes, str]) -> Iterator[Fault]:
    for place, reason in refused_texts(log.connection, refused):
        yield Fault("patina-hooks", place, f"this text has no vector: {reason}", "patina sync --full")


def _recording(state: Path, open_model: OpenModel) -> OpenModel:
    """Have the makers of a model recorded that is opened to embed."""

    def opened(space: VectorSpace) -> Encoder:
        encoder = open_model(space)
        record_makers(state, encoder)
        return encoder

    return opened


def _queue(log: Log, reconciled: Reconciled, run: _Run) -> None:
    """Keep which sessions started and ended; commits, observations and pairs are kept as they come."""
    run.is_reconciled = True
    for before, after in reconciled.sessions:
        if after and before is None:
            run.events.add_started(after)
        if after and after.state == "ended" and (before is None or before.state != "ended"):
            run.events.add_ended(after, read_commits_of_session(log.connection, after.id))


def _keep_faults(log: Log, run: _Run, reconciled: bool, quick: bool) -> None:
    """Store the faults of this sync.

    Mishaps stay that come from plugins which this sync had no reason to call, and those of the sync that
    this one completes: a user sees both as one.

    Args:
        log: where faults are stored.
        run: what the sync did.
        reconciled: whether plugins had anything of git's to read.
        quick: whether this is not the sync that a user types, which clears what is said of a model whose
            texts were embedded again.
    """
    if log.fact("postponed"):
        before = stored_faults(log, "mishaps")
    else:
        done = {True: run.embedded.added + run.embedded.removed > 0, False: reconciled}
        before = [
            fault
            for fault in stored_faults(log, "mishaps")
            if not done[fault.where == EMBEDDINGS_UPDATED] and (quick or not fault.where.startswith("model "))
        ]
    with log.writing():
        log.remember("postponed", "1" if run.postponed and not run.embedded.untried else "")
        store_faults(log, "faults", run.faults)
        store_faults(log, "mishaps", [*before, *run.mishaps])
        log.remember("synced", str(int(time.time())))


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
