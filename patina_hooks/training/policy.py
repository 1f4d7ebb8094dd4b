"""When the policy of the recipe asks for training."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from patina_hooks.config.configuration import load_configuration
from patina_hooks.errors import StateError
from patina_hooks.projection.active import PROJECTIONS_FOLDER, is_raw_wanted
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
"""Documents before which the first training would have nothing to judge by."""

_BEGUN: Final = "begun"


def is_due(repository: Repository) -> bool:
    """Whether the recipe's policy asks for training, by what the log and the last report say."""
    recipe = load_configuration(repository).recipe
    if recipe is None or recipe.background.train == "never":
        return False
    told, held, pending = _now(repository)
    last = _last(repository.state)
    if pending or told < FEWEST_SESSIONS or is_raw_wanted(repository.state):
        return False
    seen = _seen(last, _begun(repository.state))
    if seen is None:
        return True
    sessions, pairs = seen
    if recipe.background.train == "session_end":
        return told > sessions
    return held > pairs * (1 + recipe.background.growth)


def _now(repository: Repository) -> tuple[int, int, int]:
    """(sessions that have a document, pairs, texts without a vector)."""
    with Log(repository.state, create=False) as log, log.reading() as connection:
        now = counts(connection)
        return count_sessions_with_text(connection), now["pairs"], now["pending"]


def _seen(last: Report | None, begun: tuple[int, int, int] | None) -> tuple[int, int] | None:
    """(sessions, pairs) that the last training saw, or that there were when one began that left no report: it
    would fail again at every commit. None before the first."""
    if begun is not None and (last is None or last.made < begun[0]):
        return begun[1:]
    return (last.sessions, last.pairs) if last else None


def _last(state: Path) -> Report | None:
    """A report that cannot be read is as if it never was: the next training writes a new one."""
    with suppress(StateError):
        return last_report(state)
    return None


def _begun(state: Path) -> tuple[int, int, int] | None:
    """When the last training by itself began, with so many sessions and pairs; None before the first."""
    with suppress(OSError, ValueError):
        moment, sessions, pairs = read_state(state / PROJECTIONS_FOLDER / _BEGUN).split()
        return int(moment), int(sessions), int(pairs)
    return None


def record_start(repository: Repository) -> None:
    """Record that a training begins now, so that one which fails does not begin again at every commit."""
    sessions, pairs, _ = _now(repository)
    begun = f"{int(time.time())} {sessions} {pairs}"
    replace_file(repository.state / PROJECTIONS_FOLDER / _BEGUN, begun.encode())
