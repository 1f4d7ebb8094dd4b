"""The worker: started by a hook, it brings the memory up to date behind the user's back.

    python -m patina_hooks.upkeep.worker <common dir> <work tree>

One works at a time, the others end at once: whoever notes an event does so before it looks for a worker,
and a worker looks at the spool again after it let go of its lock, so no event is left lying. Nobody waits
for it and nobody reads what it prints: what goes wrong is in `<state>/patina.log`.
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
    from patina_hooks.specs.plugins import Fault
    from patina_hooks.upkeep.events import EventQueue

# worker.lock is held while there is work, a wait for a rebase included, and released before the worker waits
# for event hooks; the sync lock only while the log is written, so that a command which the user types need
# not wait for the rebase.
WORKER_LOCK = "worker.lock"
_STATE_FOLDER = "patina"
_SYNC_WAIT_SECONDS = 3600.0
_POLL_SECONDS = 0.5
_NICENESS = 10
_TRAINING_MODULE = "patina_hooks.commands.learning.background"

Synchronise = Callable[["Repository"], "bool | None"]
"""Brings the memory in line; True where something is left for another time slice."""


def start_worker(common: Path, work_tree: Path) -> None:
    """Start a worker that outlives us; see `start_process`."""
    start_process("patina_hooks.upkeep.worker", common, work_tree)


def start_process(module: str, common: Path, work_tree: Path) -> None:
    """Start a module as a process that outlives us. Raises OSError where the interpreter cannot be run.

    common: the repository's common dir; work_tree: any of its work trees; both absolute.
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
    # A notebook lives longer than its workers: somebody has to take note of their ends.
    threading.Thread(target=process.wait, daemon=True).start()


def wake(common: Path, work_tree: Path) -> None:
    """Start a worker, where that is wanted and can be: what is left undone, the next sync finds."""
    if not switched_off(os.environ):
        with suppress(OSError):
            start_worker(common, work_tree)


def switched_off(environment: Mapping[str, str]) -> bool:
    """Whether nothing is to be started in the background; the same switches as in the hooks' shell."""
    ci = bool(environment.get("CI")) and environment.get("PATINA_CI") != "1"
    return ci or environment.get("PATINA_SKIP") == "1"


def main(arguments: list[str], synchronise: Synchronise | None = None) -> int:
    """Work until the spool is empty or another worker is there. Always 0: nobody reads it."""
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
                done = logged(state, lambda: _work(common, work_tree, delivery, synchronise))
            finally:
                lock.release()
            # A hook that fired while we were busy found the lock taken, and its own worker went away.
            again = done and spool.pending_bytes(state) > 0
        if delivery.is_begun:
            logged(state, delivery.finish)
    return 0


def wait_until_quiet(
    busy: Callable[[], bool], limit: float, sleep: Callable[[float], None] = time.sleep
) -> bool:
    """Wait while a rebase, am or cherry-pick is under way; False when `limit` seconds were not enough.

    Each pick fires a hook, and what lies between the first and the last is gone a moment later.
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
    # From here on it may cost: most workers of a burst never get here.
    import logging

    from patina_hooks.config.configuration import load_configuration

    log = logging.getLogger("patina_hooks.upkeep.worker")  # __name__ is "__main__" here
    state = common / _STATE_FOLDER
    repository = open_repository(common, work_tree)
    seconds = load_configuration(repository).settings.defer_seconds
    again, left, patient, synchronise = True, False, True, synchronise or _slices(state, delivery)
    while again:
        if patient or not repository.in_progress():
            patient = wait_until_quiet(repository.in_progress, seconds)
            if not patient:
                log.warning("a rebase, am or cherry-pick is still under way: not waiting for its end")
        if patient:
            _keep_sessions(repository)
        reading, before = spool.read_spool(state), left
        left = bool(synchronise(repository))
        spool.set_offset(state, reading.end)
        again = spool.truncate_spool(state) or left
        if reading.events or not (left and before):  # hours of turns are no news
            log.info("%s after %s", "more to embed" if left else "in step", _events(reading.events))
    start_training_if_due(repository, work_tree)


def start_training_if_due(repository: Repository, work_tree: Path) -> None:
    """Start training where the policy asks for it now. Never raises `PatinaError`: nothing waits for it."""
    from patina_hooks.errors import PatinaError
    from patina_hooks.training.policy import is_training_due

    with suppress(PatinaError, OSError):
        if is_training_due(repository):
            start_process(_TRAINING_MODULE, repository.common, work_tree)


def _keep_sessions(repository: Repository) -> None:
    """Copy the documents of sessions under way, and end those that nobody ends."""
    import logging

    from patina_hooks.errors import PatinaError
    from patina_hooks.sessions.upkeep import keep_sessions

    try:
        keep_sessions(repository)
    except PatinaError as error:  # the sync goes on without
        logging.getLogger("patina_hooks.upkeep.worker").warning("cannot look after sessions: %s", error)


def open_repository(common: Path, work_tree: Path) -> Repository:
    """The repository, through the work tree of the event, or the main one where that is gone."""
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
    """Time slices of a sync that embed with one model, opened once, while earlier events are delivered."""
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
        def deliver(events: EventQueue) -> tuple[Fault, ...]:
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
    """End the process, which frees its locks: a plugin has not returned for minutes."""
    import logging

    log = logging.getLogger("patina_hooks.upkeep.worker")
    log.error(
        "plugin %s (%s) did not return within %g s: the worker ended; PATINA_DISABLE_PLUGINS=%s turns it off",
        call.plugin, call.action, call.limit, call.plugin,
    )  # fmt: skip
    os._exit(1)


def _events(events: tuple[spool.SpoolEvent, ...]) -> str:
    names = [event.hook for event in events]
    return ", ".join(f"{names.count(name)} {name}" for name in dict.fromkeys(names)) or "no noted event"


def logged(state: Path, work: Callable[[], None], job: Job = WORKER) -> bool:
    """Whether the work was done; what went wrong is in the log."""
    import logging
    from logging.handlers import RotatingFileHandler

    from patina_hooks.config.configuration import load_user_redaction
    from patina_hooks.text.display import strip_controls

    redaction = load_user_redaction()

    class Readable(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            # An error may quote what stands in the repository; it may look like another entry, too.
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
    """Leave the terminal, the caller's files, the caller's git and the network behind."""
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
    # An event hook that was given up still runs in its thread.
    os._exit(main(sys.argv[1:]))
