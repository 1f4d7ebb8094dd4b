"""Run every check of the installation; nothing is changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping

from patina_hooks.errors import PatinaError
from patina_hooks.git.repository import Repository
from patina_hooks.plugins.manager import Plugins
from patina_hooks.system.files import irregular_entries
from patina_hooks.upkeep.doctor import answers, collections, environment, state
from patina_hooks.upkeep.doctor.finding import Finding

Check = Callable[[Repository, Plugins], Iterator[Finding]]

CHECKS: Mapping[str, Check] = {
    "git": environment.check_git,
    "sqlite": environment.check_sqlite,
    "configuration": environment.check_configuration,
    "hooks": environment.check_hooks,
    "state": state.check_state,
    "log": state.check_log,
    "embeddings": state.check_cache,
    "refused": state.check_refused,
    "vectors": answers.check_vectors,
    "collections": collections.check_collections,
    "projection": answers.check_projection,
    "fusion": answers.check_fusion,
    "model": answers.check_model,
    "search": answers.check_search_plugins,
    "probes": answers.check_engine_versions,
    "plugins": environment.check_plugins,
    "worker": state.check_worker,
}
_READERS_OF_THE_STATE = frozenset(
    {"log", "embeddings", "refused", "vectors", "collections", "projection", "fusion", "probes", "worker"}
)


def examine(repository: Repository, plugins: Plugins) -> list[Finding]:
    """Run every check; a check that raises an error is a finding and does not stop the others."""
    return list(run_checks(repository, plugins))


def run_checks(repository: Repository, plugins: Plugins) -> Iterator[Finding]:
    """Yield the findings of `examine` while the checks run."""
    # Opening a named pipe would wait forever: `check_state` reports irregular files.
    unreadable = any(irregular_entries(repository.state))
    for name, check in CHECKS.items():
        if unreadable and name in _READERS_OF_THE_STATE:
            continue
        try:
            yield from check(repository, plugins)
        except PatinaError as error:
            yield Finding(name, "fault", str(error), fix=error.hint)
        except (OSError, sqlite3.DatabaseError) as error:
            yield Finding(name, "fault", str(error))
