"""Check the state folder, the databases and the worker."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from patina_hooks.git.repository import Repository
from patina_hooks.plugins.calls import BUILTIN
from patina_hooks.plugins.manager import Plugins
from patina_hooks.specs.plugins import RecordedError
from patina_hooks.store.log import Log
from patina_hooks.system.files import irregular_entries, removal_command
from patina_hooks.upkeep.doctor.answers import OTHER_MODEL
from patina_hooks.upkeep.doctor.finding import Finding

_SHARED: Final = {
    "spool": "the hooks cannot record events",
    "lock": "nothing new is recorded",
    "worker.lock": "nothing is recorded in the background",
    "patina.log": "errors in the background are not recorded",
    "log.db": "nothing new is recorded",
    "embeddings.db": "nothing new is embedded",
}
"""Files that are written in place -> what does not work without them."""


def check_state(repository: Repository, plugins: Plugins) -> Iterator[Finding]:
    """Check the state folder."""
    state = repository.state
    if entries := list(irregular_entries(state)):
        for path, problem in entries:
            reason = "nothing is read or recorded"
            yield Finding("state", "fault", f"{path} {problem}", reason, removal_command(path))
    elif not state.is_dir():
        yield Finding("state", "warning", f"{state} does not exist", "nothing is recorded yet", "patina init")
    elif not os.access(state, os.W_OK):
        message = f"{state} cannot be written"
        yield Finding("state", "fault", message, "nothing new is recorded", _permission_command(state))
    elif state.stat().st_mode & 0o077:
        message = f"{state} can be read by other users"
        yield Finding("state", "warning", message, fix=f"chmod 700 {shlex.quote(str(state))}")
    elif unusable := [path for name in _SHARED if not _is_usable(path := state / name)]:
        for path in unusable:
            message, reason = f"{path} cannot be written", _SHARED[path.name]
            yield Finding("state", "fault", message, reason, _permission_command(path))
    else:
        yield Finding("state", "ok", str(state))


def _is_usable(path: Path) -> bool:
    return not path.exists() or os.access(path, os.R_OK | os.W_OK)


def _clear_command(fault: RecordedError) -> str:
    """Return the command that removes a recorded fault.

    Each sync checks patina's own faults again; those of a plugin are removed if it is not called.
    """
    if fault.plugin == BUILTIN:
        return OTHER_MODEL if fault.where.startswith("model ") else "patina sync"
    return f"PATINA_DISABLE_PLUGINS={shlex.quote(fault.plugin)} patina sync --full"


def _permission_command(path: Path) -> str:
    """Return the command that makes a folder or file writable for the user of this process."""
    name = shlex.quote(str(path))
    if hasattr(os, "getuid") and path.stat().st_uid != os.getuid():
        return f'sudo chown -R "$(id -u)" {name}'
    return f"chmod {'u+rwx' if path.is_dir() else 'u+rw'} {name}"


def check_log(repository: Repository, plugins: Plugins) -> Iterator[Finding]:
    """Check the log database, recorded errors and pending texts."""
    if not repository.state.is_dir():
        return
    with Log(repository.state, create=False) as log:
        log.check()
        yield Finding("log", "ok", "the database is sound")
        from patina_hooks.store.facts import counts
        from patina_hooks.store.recorded_faults import read_recorded_faults

        for fault in read_recorded_faults(log):
            fix = fault.hint or _clear_command(fault)
            yield Finding("log", "fault", f"{fault.plugin}: {fault.where}", fault.error, fix)
        pending = counts(log.connection)["pending"]
        if pending:
            reason = "they are found by their words, not yet by their meaning"
            yield Finding("log", "warning", f"{pending:,} texts are not embedded yet", reason, "patina sync")


def check_cache(repository: Repository, plugins: Plugins) -> Iterator[Finding]:
    """Check the cache of embeddings."""
    from patina_hooks.store.embeddings import check_embeddings

    if not repository.state.is_dir():
        return
    count = check_embeddings(repository.state)
    message = f"{count:,} cached embeddings, the database is sound" if count else "no cached embeddings"
    yield Finding("embeddings", "ok", message)


def check_refused(repository: Repository, plugins: Plugins) -> Iterator[Finding]:
    """List the texts that the model refused."""
    from patina_hooks.search.index.spaces import active_space
    from patina_hooks.search.remarks.refused import refused_texts
    from patina_hooks.store.embeddings import read_refused_keys

    if not repository.state.is_dir():
        return
    with Log(repository.state, create=False) as log:
        space = active_space(log)
        keys = read_refused_keys(repository.state, space.fingerprint) if space else {}
        for location, reason in refused_texts(log.connection, keys):
            message = f"{location} is found by its words only: the model refused this text"
            yield Finding("refused", "warning", message, reason, "patina sync --full")


def check_worker(repository: Repository, plugins: Plugins) -> Iterator[Finding]:
    """Check for pending events and for errors of the worker."""
    from patina_hooks.git import spool
    from patina_hooks.plugins.running_calls import describe_call, running_calls
    from patina_hooks.system.worker_log import JOBS, LOG, unresolved_errors

    if not repository.state.is_dir():
        return
    calls = running_calls(repository.state)
    for call in calls:
        reason = f"PATINA_DISABLE_PLUGINS={call.plugin} disables the plugin"
        yield Finding("worker", "fault", f"waiting for {describe_call(call)}", reason, f"kill {call.process}")
    pending = 0 if calls else spool.pending_bytes(repository.state)
    if pending:
        yield Finding("worker", "warning", "events are pending", f"{pending} bytes", "patina sync")
    errors = [(job, lines) for job in JOBS if (lines := unresolved_errors(repository.state, job))]
    for job, lines in errors:
        reason = f"see {repository.state / LOG}"
        yield Finding("worker", "warning", f"its log ends with: {lines[-1]}", reason, job.command)
    if not errors and not pending and not calls:
        yield Finding("worker", "ok", "no pending events")
