"""Check the state folder, the databases and the worker."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from patina_hooks.corpus.log import Log
from patina_hooks.doctor.finding import Finding
from patina_hooks.files import irregular_entries, removal_of
from patina_hooks.git.repository import Repository
from patina_hooks.plugins import Plugins

_LOG_TAIL = 20_000


def check_state(repository: Repository, plugins: Plugins) -> Iterator[Finding]:
    """Check the state folder."""
    state = repository.state
    if entries := list(irregular_entries(state)):
        for path, problem in entries:
            why = "nothing is read or recorded"
            yield Finding("state", "fault", f"{path} {problem}", why, removal_of(path))
    elif not state.is_dir():
        yield Finding("state", "warning", f"{state} is not there", "nothing is recorded yet", "patina init")
    elif not os.access(state, os.W_OK):
        yield Finding(
            "state", "fault", f"{state} cannot be written", "nothing new is recorded", f"ls -ld {state}"
        )
    elif state.stat().st_mode & 0o077:
        yield Finding("state", "warning", f"{state} can be read by others", fix=f"chmod 700 {state}")
    else:
        yield Finding("state", "ok", str(state))


def check_log(repository: Repository, plugins: Plugins) -> Iterator[Finding]:
    """Check the log database, recorded errors and pending texts."""
    if not repository.state.is_dir():
        return
    with Log(repository.state, create=False) as log:
        log.check()
        yield Finding("log", "ok", "the database is sound")
        from patina_hooks.corpus.facts import counts
        from patina_hooks.recorded_faults import kept_faults

        for fault in kept_faults(log):
            fix = fault.hint or "patina log --kind fault"
            yield Finding("log", "fault", f"{fault.plugin}: {fault.where}", fault.error, fix)
        pending = counts(log.connection)["pending"]
        if pending:
            why = "they are found by their words, not yet by their meaning"
            yield Finding("log", "warning", f"{pending:,} texts are not embedded yet", why, "patina sync")


def check_cache(repository: Repository, plugins: Plugins) -> Iterator[Finding]:
    """Check the cache of embeddings."""
    from patina_hooks.models.cache import check_embeddings

    if not repository.state.is_dir():
        return
    many = check_embeddings(repository.state)
    yield Finding(
        "embeddings", "ok", f"{many:,} are kept, the database is sound" if many else "none are kept"
    )


def check_refused(repository: Repository, plugins: Plugins) -> Iterator[Finding]:
    """List the texts that the model refused."""
    from patina_hooks.models.cache import refused_keys
    from patina_hooks.search.refused import refused_texts
    from patina_hooks.search.vectors import answering_space

    if not repository.state.is_dir():
        return
    with Log(repository.state, create=False) as log:
        space = answering_space(log)
        keys = refused_keys(repository.state, space.fingerprint) if space else {}
        for place, reason in refused_texts(log.connection, keys):
            what = f"{place} is found by its words only: the model refused this text"
            yield Finding("refused", "warning", what, reason, "patina sync --full")


def check_worker(repository: Repository, plugins: Plugins) -> Iterator[Finding]:
    """Check for pending events and for errors of the worker."""
    from patina_hooks.git import spool
    from patina_hooks.running_calls import running_calls, text_of
    from patina_hooks.worker import LOG

    if not repository.state.is_dir():
        return
    calls = running_calls(repository.state)
    for call in calls:
        why = f"PATINA_DISABLE_PLUGINS={call.plugin} turns the plugin off"
        yield Finding("worker", "fault", f"waiting for {text_of(call)}", why, f"kill {call.process}")
    waiting = 0 if calls else spool.pending(repository.state)
    if waiting:
        yield Finding("worker", "warning", "events wait for the worker", f"{waiting} bytes", "patina sync")
    errors = _last_errors(repository.state / LOG)
    if errors:
        why = f"see {repository.state / LOG}"
        yield Finding("worker", "warning", f"its log ends with: {errors[-1]}", why, "patina sync")
    elif not waiting and not calls:
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
