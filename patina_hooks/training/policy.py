"""When the recipe's policy requires training."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from patina_hooks.config.configuration import load_configuration
from patina_hooks.errors import StateError
from patina_hooks.projection.active import PROJECTIONS_FOLDER, is_raw_requested
from patina_hooks.specs.reports import Report
from patina_hooks.store.corpus.texts import count_sessions_with_text
from patina_hooks.store.facts import counts
from patina_hooks.store.log import Log
from patina_hooks.system.files import read_state, replace_file
from patina_hooks.training.reports.report import last_report

if TYPE_CHECKING:
    from pathlib import Path

    from patina_hooks.git.repository import Repository

FEWEST_SESSIONS: Final = 20
"""Sessions with documents that the first training needs for a verdict."""

_START_FILE: Final = "begun"


def is_training_due(repository: Repository) -> bool:
    """Return whether the recipe's policy requires training now."""
    recipe = load_configuration(repository).recipe
    if recipe is None or recipe.background.train == "never":
        return False
    documents, pairs, pending = _current_counts(repository)
    last = _load_report(repository.state)
    if pending or documents < FEWEST_SESSIONS or is_raw_requested(repository.state):
        return False
    trained = _counts_at_training(last, _last_start(repository.state))
    if trained is None:
        return True
    sessions, trained_pairs = trained
    if recipe.background.train == "session_end":
        return documents > sessions
    return pairs > trained_pairs * (1 + recipe.background.growth)


def _current_counts(repository: Repository) -> tuple[int, int, int]:
    """Count sessions with a document, pairs, and texts without a vector."""
    with Log(repository.state, create=False) as log, log.reading() as connection:
        now = counts(connection)
        return count_sessions_with_text(connection), now["pairs"], now["pending"]


def _counts_at_training(last: Report | None, start: tuple[int, int, int] | None) -> tuple[int, int] | None:
    """Return the sessions and pairs of the last training, None before the first.

    A training that left no report counts from its start: it would fail again at every commit.
    """
    if start is not None and (last is None or last.made < start[0]):
        return start[1:]
    return (last.sessions, last.pairs) if last else None


def _load_report(state: Path) -> Report | None:
    """Load the last report, or None if it cannot be read: the next training writes a new one."""
    with suppress(StateError):
        return last_report(state)
    return None


def _last_start(state: Path) -> tuple[int, int, int] | None:
    """Read the start of the last background training: time, sessions and pairs; None before it."""
    with suppress(OSError, ValueError):
        moment, sessions, pairs = read_state(state / PROJECTIONS_FOLDER / _START_FILE).split()
        return int(moment), int(sessions), int(pairs)
    return None


def record_start(repository: Repository) -> None:
    """Record the start of a training, so that a failing one does not restart at every commit."""
    sessions, pairs, _ = _current_counts(repository)
    line = f"{int(time.time())} {sessions} {pairs}"
    replace_file(repository.state / PROJECTIONS_FOLDER / _START_FILE, line.encode())
