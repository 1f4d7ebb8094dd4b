"""The worker: started by a hook, it updates the index in the background.

    python -m patina_hooks.upkeep.worker <common dir> <work tree>

One worker runs at a time, further ones exit at once: a hook writes its event before it looks for a worker,
and a worker reads the spool again after it released its lock, so no event is lost. Nothing waits for a worker
and its output goes nowhere: errors are in `<state>/patina.log`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from patina_hooks.errors import NotARepository, StateError
from patina_hooks.git import spool
from patina_hooks.git.environment import is_dropped, trust_variables
from patina_hooks.git.lock import SyncLock
from patina_hooks.system.files import refuse_irregular
from patina_hooks.system.telemetry import stay_offline
from patina_hooks.system.worker_log import LOG, WORKER, Job
from patina_hooks.upkeep.hook_delivery import BackgroundDelivery

if TYPE_CHECKING:
    from patina_hooks.git.repository import Repository
    from patina_hooks.plugins.calls import PluginCall
    from patina_hooks.specs.plugins import RecordedError
    from patina_hooks.upkeep.events import EventQueue

# worker.lock is held while there is work, including a wait for a rebase, and released before the worker waits
# for event hooks; the sync lock is held only while the log is written, so that a command that the user types
# need not wait for the rebase.
WORKER_LOCK = "worker.lock"
_STATE_FOLDER = "patina"
_SYNC_WAIT_SECONDS = 3600.0
_POLL_SECONDS = 0.5
_NICENESS = 10
_TRAINING_MODULE = "patina_hooks.commands.learning.background"

Synchronise = Callable[["Repository"], "bool | None"]
"""Updates the index; returns True if something remains for another time slice."""


def start_worker(common: Path, work_tree: Path) -> None:
    """Start a worker that outlives this process; see `start_process`."""
    start_process("patina_hooks.upkeep.worker", common, work_tree)


def start_process(module: str, common: Path, work_tree: Path) -> None:
    """Start a module as a process that outlives this one.

    Args:
        module: run with `-m`, with the other two arguments.
        common: the repository's common dir, absolute.
        work_tree: any of its work trees, absolute.

    Raises:
        OSError: the interpreter cannot be run.
    """
    command = [sys.executable, "-m", module, str(common), str(work_tree)]
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP
    process = subprocess.Popen(
        command,
        cwd=work_tree.anchor,  # never the repository: with -m Python imports from the current folder
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        creationflags=flags,
    )
    # A notebook lives longer than its workers: a thread must reap them.
    threading.Thread(target=process.wait, daemon=True).start()


def wake_worker(common: Path, work_tree: Path) -> None:
    """Start a worker if that is enabled and possible; otherwise the next sync does the work."""
    if not is_switched_off(os.environ):
        with suppress(OSError):
            start_worker(common, work_tree)


def is_switched_off(environment: Mapping[str, str]) -> bool:
    """Whether work in the background is disabled; the same variables as in the hooks' shell."""
    ci = bool(environment.get("CI")) and environment.get("PATINA_CI") != "1"
    return ci or environment.get("PATINA_SKIP") == "1"


def run_worker(arguments: list[str], synchronise: Synchronise | None = None) -> int:
    """Work until the spool is empty or another worker runs; the exit code is always 0.

    Args:
        arguments: the common dir and a work tree.
        synchronise: one time slice of a sync, by default that of `patina_hooks.upkeep.sync`.
    """
    with suppress(ValueError, OSError, StateError):
        common, work_tree = (Path(argument).resolve() for argument in arguments)
        state = common / _STATE_FOLDER
        again = state.is_dir()
        refuse_irregular(state)
        delivery = BackgroundDelivery()
        while again:
            lock = SyncLock(state / WORKER_LOCK)
            if not lock.acquire():
                break
            try:
                is_finished = run_logged(state, lambda: _work(common, work_tree, delivery, synchronise))
            finally:
                lock.release()
            # The worker of a hook that fired meanwhile did not get the lock, and exited.
            again = is_finished and spool.pending_bytes(state) > 0
        if delivery.has_started:
            run_logged(state, delivery.finish)
    return 0


def wait_until_quiet(
    busy: Callable[[], bool], limit: float, sleep: Callable[[float], None] = time.sleep
) -> bool:
    """Wait until no rebase, am or cherry-pick is in progress; return False after `limit` seconds.

    Each pick fires a hook, and the commits between the first and the last are temporary.
    """
    waited = 0.0
    while busy():
        if waited >= limit:
            return False
        sleep(_POLL_SECONDS)
        waited += _POLL_SECONDS
    return True


def _work(
    common: Path, work_tree: Path, delivery: BackgroundDelivery, synchronise: Synchronise | None
) -> None:
    # Imports may cost from here on: most workers of a burst never get here.
    import logging

    from patina_hooks.config.configuration import load_configuration

    log = logging.getLogger("patina_hooks.upkeep.worker")  # __name__ is "__main__" here
    state = common / _STATE_FOLDER
    repository = open_repository(common, work_tree)
    seconds = load_configuration(repository).settings.defer_seconds
    again, is_postponed, is_patient, synchronise = True, False, True, synchronise or _slices(state, delivery)
    while again:
        if is_patient or not repository.in_progress():
            is_patient = wait_until_quiet(repository.in_progress, seconds)
            if not is_patient:
                log.warning("a rebase, am or cherry-pick is still in progress: not waiting for its end")
        if is_patient:
            _keep_sessions(repository)
        reading, was_postponed = spool.read_spool(state), is_postponed
        is_postponed = bool(synchronise(repository))
        spool.set_offset(state, reading.end)
        again = spool.truncate_spool(state) or is_postponed
        if reading.events or not (is_postponed and was_postponed):  # hours of time slices are one line
            log.info("%s after %s", "more to embed" if is_postponed else "in step", _events(reading.events))
    start_training_if_due(repository, work_tree)


def start_training_if_due(repository: Repository, work_tree: Path) -> None:
    """Start training if the policy asks for it now; ignore a `PatinaError`."""
    from patina_hooks.errors import PatinaError
    from patina_hooks.training.policy import is_training_due

    with suppress(PatinaError, OSError):
        if is_training_due(repository):
            start_process(_TRAINING_MODULE, repository.common, work_tree)


def _keep_sessions(repository: Repository) -> None:
    """Copy the documents of active sessions, and end abandoned sessions."""
    import logging

    from patina_hooks.errors import PatinaError
    from patina_hooks.sessions.upkeep import keep_sessions

    try:
        keep_sessions(repository)
    except PatinaError as error:  # the sync does not depend on it
        logging.getLogger("patina_hooks.upkeep.worker").warning("cannot update sessions: %s", error)


def open_repository(common: Path, work_tree: Path) -> Repository:
    """Open the repository through the work tree of the event, or the main one if that was removed.

    Raises:
        NotARepository: neither belongs to the common dir.
    """
    from patina_hooks.git.repository import Repository

    reasons = []
    for folder in (work_tree, common.parent):
        try:
            repository = Repository.open(folder)
        except NotARepository as error:
            reasons.append(str(error))
            continue
        if repository.common.resolve() == common:
            return repository
        reasons.append(f"{folder} belongs to {repository.common}")
    raise NotARepository(f"cannot open {common}: {'; '.join(dict.fromkeys(reasons))}")


def _slices(state: Path, delivery: BackgroundDelivery) -> Synchronise:
    """Return a function that runs one time slice of a sync.

    The slices share one open model; events of earlier slices are delivered meanwhile.
    """
    from patina_hooks.plugins.calls import recorded_in, watch_calls
    from patina_hooks.plugins.manager import Plugins
    from patina_hooks.upkeep.hook_delivery import deliver_events
    from patina_hooks.upkeep.sync import SLICE_SECONDS, synchronise
    from patina_hooks.upkeep.vectors import open_once

    watch_calls(_give_up, _log_slow)
    with recorded_in(state):
        plugins = Plugins.load()
    open_model = open_once(plugins)

    def run_slice(repository: Repository) -> bool:
        def deliver(events: EventQueue) -> tuple[RecordedError, ...]:
            delivery.put(lambda: deliver_events(repository, plugins, events))
            return ()

        return synchronise(
            repository,
            background=True,
            quick=True,
            seconds=SLICE_SECONDS,
            wait=_SYNC_WAIT_SECONDS,
            plugins=plugins,
            open_model=open_model,
            deliver=deliver,
        ).postponed

    return run_slice


def _log_slow(call: PluginCall) -> None:
    import logging

    from patina_hooks.plugins.calls import waiting_for

    logging.getLogger("patina_hooks.upkeep.worker").warning(waiting_for(call))


def _give_up(call: PluginCall) -> None:
    """End the process, which releases its locks: a plugin has not returned for minutes."""
    import logging

    log = logging.getLogger("patina_hooks.upkeep.worker")
    log.error(
        "plugin %s (%s) did not return within %g s: the worker ended; PATINA_DISABLE_PLUGINS=%s disables it",
        call.plugin, call.action, call.limit, call.plugin,
    )  # fmt: skip
    os._exit(1)


def _events(events: tuple[spool.SpoolEvent, ...]) -> str:
    names = [event.hook for event in events]
    return ", ".join(f"{names.count(name)} {name}" for name in dict.fromkeys(names)) or "no noted event"


def run_logged(state: Path, work: Callable[[], None], job: Job = WORKER) -> bool:
    """Run work, with its errors and messages in `patina.log`; return whether it succeeded."""
    import logging
    from logging.handlers import RotatingFileHandler

    from patina_hooks.config.configuration import load_user_redaction
    from patina_hooks.text.display import strip_controls

    redaction = load_user_redaction()

    class Readable(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            # An error may quote text of the repository, which may look like another entry, too.
            return strip_controls(redaction.redact(super().format(record))).replace("\n", "\n  ")

    handler = RotatingFileHandler(
        state / LOG, maxBytes=256 * 1024, backupCount=2, encoding="utf-8", delay=True
    )
    handler.setFormatter(Readable("%(asctime)s %(process)d %(levelname)s %(message)s"))
    log = logging.getLogger("patina_hooks")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        work()
    except Exception:
        log.exception("%s; `%s` tries again", job.failed, job.command)
        return False
    finally:
        log.removeHandler(handler)
        handler.close()
    return True


def detach() -> None:
    """Detach from the terminal, the caller's files, the caller's git variables and the network."""
    stay_offline()
    trust = trust_variables(os.environ)
    for name in filter(is_dropped, list(os.environ)):
        del os.environ[name]
    os.environ.update(trust)
    os.umask(0o077)
    if sys.platform == "win32":
        return
    with suppress(OSError):  # already a leader: setsid(1) did it
        os.setsid()
    # The hook closes 3 to 9, all that POSIX sh can name; a caller may wait for the end of a higher one.
    os.closerange(3, 256)
    os.nice(_NICENESS)


if __name__ == "__main__":
    detach()
    # An abandoned event hook still runs in its thread.
    os._exit(run_worker(sys.argv[1:]))
