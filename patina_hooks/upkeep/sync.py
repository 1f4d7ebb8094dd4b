"""Sync: reconcile, pairs and vectors; then, without a lock, the event hooks.

`synchronise` takes the sync lock, releases it, and delivers the events: no caller can do so with a lock held.
Every stage commits its work, so that a killed sync loses only its current step, and the next one continues
from there.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from patina_hooks.config.configuration import refresh_configuration
from patina_hooks.corpus.observations import Extractors, ObservationChanges
from patina_hooks.corpus.outcome import ReconcileResult
from patina_hooks.corpus.reconcile import reconcile
from patina_hooks.errors import LockHeld, LogDamaged, StateError
from patina_hooks.git.lock import SYNC_LOCK, SyncLock
from patina_hooks.git.repository import Repository
from patina_hooks.models.provenance import record_releases
from patina_hooks.pairs.update import PairUpdate, update_pairs
from patina_hooks.plugins.calls import recorded_in
from patina_hooks.plugins.manager import Plugins
from patina_hooks.search.index.embedded import Embedded
from patina_hooks.search.steps import record_steps
from patina_hooks.specs.plugins import RecordedError
from patina_hooks.store.corpus.sessions import read_commits_of_session
from patina_hooks.store.log import Log, set_aside_log
from patina_hooks.store.recorded_faults import read_faults, store_faults
from patina_hooks.store.search.indexed_texts import has_changed_texts
from patina_hooks.system.files import make_private
from patina_hooks.system.worker_log import WORKER, resolve_errors
from patina_hooks.upkeep.change_token import record_token
from patina_hooks.upkeep.collections import Collections, purge_redacted, reset_derived
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
    from patina_hooks.config.configuration import Configuration
    from patina_hooks.models.encoding import Encoder
    from patina_hooks.search.index.spaces import VectorSpace

    OpenModel = Callable[[VectorSpace], Encoder]

logger = logging.getLogger(__name__)
Progress = Callable[[str, int, int], None]
_SHORT_SECONDS = 1.5  # less than the age at which a file has a stamp
SLICE_SECONDS = 5.0
"""Seconds of embedding, after which a process with more to embed releases the lock and starts the next sync.

New commits are found by their words meanwhile, though a large model embeds for hours."""


@dataclass(frozen=True, slots=True)
class SyncReport:
    """The result of a sync.

    cut: embedded texts that are longer than the model reads. pending: texts without a vector. postponed:
    whether they are pending only because there were more than requested, or the time was up. seconds: wall
    time. faults: errors of parts, which did not stop the sync.
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
    faults: tuple[RecordedError, ...]

    @property
    def is_idle(self) -> bool:
        """Whether nothing was done or is pending, and the sync was too short to miss a change."""
        changes = self.commits, self.gone, self.sessions, self.added, self.removed, self.pairs
        vectors = self.encoded, self.indexed, self.pending
        return not any((*changes, *vectors, self.postponed)) and self.seconds < _SHORT_SECONDS

    def then(self, later: SyncReport) -> SyncReport:
        """Return the report of this sync and of the one that continued it."""
        state = {"pending", "postponed", "faults"}
        counted = [column.name for column in fields(self) if column.name not in state]
        totals = {name: getattr(self, name) + getattr(later, name) for name in counted}
        return replace(later, faults=tuple(dict.fromkeys((*self.faults, *later.faults))), **totals)


@dataclass(frozen=True, slots=True)
class _SyncTask:
    """The options of a sync: see `synchronise`."""

    plugins: Plugins
    progress: Progress
    open_model: OpenModel | None
    background: bool
    full: bool
    quick: bool
    words_only: bool
    most: int | None
    seconds: float | None


@dataclass(slots=True)
class _SyncRun:
    """The state of a sync while it runs.

    faults: errors that last until they are fixed; mishaps: errors of single calls of plugins. is_reconciled:
    whether the log is updated from git, so that the events are true. keeps_absent: see `synchronise`.
    """

    events: EventQueue
    keeps_absent: bool = True
    faults: list[RecordedError] = field(default_factory=list)
    mishaps: list[RecordedError] = field(default_factory=list)
    paired: PairUpdate = field(default_factory=PairUpdate)
    embedded: Embedded = field(default_factory=Embedded)
    postponed: bool = False
    is_reconciled: bool = False

    def discard(self, plugins: Plugins, damage: LogDamaged) -> None:
        """Discard the work on a damaged log."""
        self.events, self.mishaps, self.is_reconciled = EventQueue(plugins), [], False
        self.faults = [RecordedError("patina-hooks", "log", f"{damage}; it was set aside and begun again")]


def synchronise(
    repository: Repository,
    *,
    background: bool = False,
    full: bool = False,
    quick: bool = False,
    words_only: bool = False,
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
        repository: the repository.
        background: log faults; a foreground caller reads them in the report.
        full: delete all derived data (embeddings stay cached) and derive it again.
        quick: read what changed in git and new documents, but not changes within the last hour that were
            written in place into an archived document (see `patina_hooks.corpus.folder_stamps`).
        words_only: leave vectors as they are if no text was added or removed, for a caller that needs none.
        keep_absent: whether results of extractors and pair generators that are not installed here stay.
        most: embed nothing now if more texts than this are pending; the report has their number.
        seconds: embed for about so long, and leave the rest to the next sync, see `SLICE_SECONDS`.
        wait: seconds to wait for another process that syncs; None waits without a limit.
        plugins: the installed ones by default.
        open_model: returns the encoder of a space, for a caller that has one open already.
        progress: called as (stage, done, total).
        deliver: takes the events after the lock is released; by default event hooks are called here.

    Raises:
        LockHeld: another process still held the sync lock after `wait` seconds.
        StateError: the state cannot be written.
    """
    plugins = plugins or Plugins.load()
    deliver = deliver or partial(deliver_events, repository, plugins)
    make_private(repository.state)
    run = _SyncRun(EventQueue(plugins), keep_absent)
    task = _SyncTask(
        plugins, progress or (lambda *_: None), open_model,
        background=background, full=full, quick=quick, words_only=words_only, most=most, seconds=seconds,
    )  # fmt: skip
    try:
        with recorded_in(repository.state):
            report = _synchronise_locked(repository, run, task, wait)
    except Exception:
        if run.is_reconciled:
            deliver(run.events)
        raise
    if not background:
        resolve_errors(repository.state, WORKER)
    return replace(report, faults=tuple(dict.fromkeys((*report.faults, *deliver(run.events)))))


def _synchronise_locked(
    repository: Repository, run: _SyncRun, task: _SyncTask, wait: float | None
) -> SyncReport:
    lock, is_postponed = SyncLock(repository.state / SYNC_LOCK), False
    if not lock.acquire(wait):
        raise LockHeld("another patina process is syncing this repository", hint="patina doctor")
    try:
        try:
            report = _synchronise(repository, run, task)
        except LogDamaged as damage:
            # Everything except the times of recording can be derived again.
            set_aside_log(repository.state)
            run.discard(task.plugins, damage)
            report = _synchronise(repository, run, task)
        is_postponed = report.postponed and task.most is None
        return report
    finally:
        lock.release(yield_to_waiters=is_postponed)


def _synchronise(repository: Repository, run: _SyncRun, task: _SyncTask) -> SyncReport:
    started = time.perf_counter()
    with _explain_os_errors(repository.state), Log(repository.state) as log, ExitStack() as stack:
        if task.full:
            reset_derived(log)
        configuration = refresh_configuration(repository, quick=task.quick, trusting=task.words_only)
        run.faults += configuration.faults
        extractors = Extractors(task.plugins, configuration.redaction, run.keeps_absent)
        reconciled = reconcile(
            repository, log, extractors, configuration.settings, task.progress, _build_result(run.events),
            quick=task.quick,
        )  # fmt: skip
        run.mishaps += [*extractors.faults, *reconciled.faults]
        collections = stack.enter_context(
            Collections(
                repository, log, extractors, configuration.settings, task.progress,
                full=task.full, quick=task.quick,
            )
        )  # fmt: skip
        run.mishaps += collections.reconcile(reconciled.changed)
        _update_pairs(log, task.plugins, run, retry=not task.quick)
        record_releases(log, task.plugins)
        if task.background:
            record_background(log, task.plugins)
        _queue_sessions(log, reconciled, run)
        skips_vectors = (
            task.words_only and configuration.is_recipe_known and _has_all_vectors(log, collections)
        )
        if skips_vectors:
            run.faults += [fault for fault in read_faults(log, "faults") if _concerns_vectors(fault)]
        else:
            _update_vectors(repository, log, configuration, run, task, collections, started)
        purge_redacted(log, extractors.redaction)
        collections.purge_redacted()
        run.faults += task.plugins.faults
        _store_faults(log, run, reconciled.has_changes, task.quick)
        if task.background:
            for fault in dict.fromkeys((*run.faults, *run.mishaps)):
                logger.warning("%s: %s: %s", fault.plugin, fault.where, fault.error)
        report = _build_report(reconciled, run, time.perf_counter() - started)
        # What failed is tried again by the next command, and what was not looked at may be damaged.
        is_sound = not (skips_vectors or run.faults or run.mishaps)
        if report.is_idle and is_sound and not reconciled.has_changes and log.fact("verified"):
            record_token(repository, [*reconciled.watched_paths, *task.plugins.files()])
        return report


def _has_all_vectors(log: Log, collections: Collections) -> bool:
    """Whether vectors are in use, and every live text has one."""
    return bool(log.fact("space")) and not (has_changed_texts(log.connection) or collections.pending())


def _concerns_vectors(fault: RecordedError) -> bool:
    return fault.where.startswith(("model ", "index ")) or fault.where == "projection"


def _update_vectors(
    repository: Repository,
    log: Log,
    configuration: Configuration,
    run: _SyncRun,
    task: _SyncTask,
    collections: Collections,
    started: float,
) -> None:
    """Update the vectors if the recipe can be read."""
    if configuration.recipe is None:
        return
    from patina_hooks.upkeep.vectors import VectorStage, open_once

    record_steps(log, configuration.recipe.search)
    stage = VectorStage(
        repository, log, task.plugins, configuration.recipe, run.events,
        task.open_model or open_once(task.plugins), task.progress,
        most=task.most, seconds=task.seconds, full=task.full,
    )  # fmt: skip
    report = stage.run(collections, started)
    run.embedded, run.postponed = report.embedded, report.postponed
    run.faults += report.faults
    run.mishaps += report.mishaps


@contextmanager
def _explain_os_errors(state: Path) -> Iterator[None]:
    """Raise a full disk, or a folder that cannot be written, as a `StateError`."""
    try:
        yield
    except OSError as error:
        path = error.filename or state
        raise StateError(f"{path}: {error.strerror or error}", hint="patina doctor") from error


def _build_result(events: EventQueue) -> ReconcileResult:
    """Build an empty result; a first sync reads all of history, so only listening plugins get callbacks."""
    commits = events.listens(COMMIT_RECORDED) or events.listens(SESSION_ENDED)
    observations = events.listens(OBSERVATIONS_CHANGED)
    return ReconcileResult(
        on_commit=events.add_commit if commits else None,
        changed=ObservationChanges(
            on_added=events.add_observation if observations else None,
            on_removed=events.remove_observation if observations else None,
        ),
    )


def _update_pairs(log: Log, plugins: Plugins, run: _SyncRun, *, retry: bool) -> None:
    listened = run.events.listens(PAIRS_EXTRACTED)
    run.paired = update_pairs(
        log, plugins, on_pair=run.events.add_pair if listened else None, retry=retry,
        keep_absent=run.keeps_absent,
    )  # fmt: skip
    run.mishaps += run.paired.faults


def _queue_sessions(log: Log, reconciled: ReconcileResult, run: _SyncRun) -> None:
    """Queue the starts and ends of sessions; commits, observations and pairs are queued already."""
    run.is_reconciled = True
    for before, after in reconciled.sessions:
        if after and before is None:
            run.events.add_started(after)
        if after and after.state == "ended" and (before is None or before.state != "ended"):
            run.events.add_ended(after, read_commits_of_session(log.connection, after.id))


def _store_faults(log: Log, run: _SyncRun, reconciled: bool, quick: bool) -> None:
    """Store the faults of this sync.

    Earlier mishaps stay if this sync had no reason to call their plugins, or if it continues the sync that
    recorded them: for a user both are one sync.

    Args:
        log: where faults are stored.
        run: the state of the sync.
        reconciled: whether plugins had changes of git to read.
        quick: whether this is not a sync that a user types, which removes the mishaps of a model whose texts
            were embedded again.
    """
    if log.fact("postponed"):
        before = read_faults(log, "mishaps")
    else:
        has_embedded = run.embedded.added + run.embedded.removed > 0
        before = [
            fault
            for fault in read_faults(log, "mishaps")
            if not (has_embedded if fault.where == EMBEDDINGS_UPDATED else reconciled)
            and (quick or not fault.where.startswith("model "))
        ]
    with log.writing():
        log.remember("postponed", "1" if run.postponed and not run.embedded.untried else "")
        store_faults(log, "faults", run.faults)
        store_faults(log, "mishaps", [*before, *run.mishaps])
        log.remember("synced", str(int(time.time())))


def _build_report(reconciled: ReconcileResult, run: _SyncRun, seconds: float) -> SyncReport:
    return SyncReport(
        commits=reconciled.added,
        gone=reconciled.removed,
        sessions=len(reconciled.sessions),
        added=reconciled.changed.added,
        removed=reconciled.changed.removed,
        pairs=run.paired.added,
        encoded=run.embedded.encoded,
        indexed=run.embedded.added,
        cut=run.embedded.cut,
        pending=run.embedded.pending,
        postponed=run.postponed,
        seconds=seconds,
        faults=tuple(dict.fromkeys((*run.faults, *run.mishaps))),
    )
