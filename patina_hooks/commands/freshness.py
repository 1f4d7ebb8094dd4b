"""Open the repository of a command, and update its index before an answer if that is quick."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from patina_hooks.commands.messages import say
from patina_hooks.errors import GitError, StateError
from patina_hooks.git.hook_script import renew_script
from patina_hooks.system.progress import show_progress

if TYPE_CHECKING:
    from patina_hooks.api import Patina
    from patina_hooks.upkeep.sync import Progress, SyncReport

QUICK = 64
"""Maximum number of texts that a command embeds; the worker embeds the rest."""
_PATIENCE = 2.0
"""Seconds to wait for a process that has not read the latest commits."""


def open_patina(*, open_model: bool = False) -> Patina:
    """Open the repository around the current folder.

    Args:
        open_model: begin to open the model before anything else, git and this package included.

    Raises:
        NotARepository: no repository encloses the folder.
    """
    opening = None
    if open_model:
        from patina_hooks.search.opening import Opening
        from patina_hooks.system.blas import one_blas_thread

        with one_blas_thread():
            opening = Opening(Path.cwd())
    # Kept until the process ends: to close a model costs 16 ms, which the end of the process does for free.
    click.get_current_context().meta[__name__] = opening
    try:
        from patina_hooks.api import Patina
        from patina_hooks.git.repository import Repository

        return Patina(Repository.open(Path.cwd()), opening=opening)
    except BaseException:
        if opening:
            opening.wait()
        raise


def freshen(patina: Patina, show: Progress | None = None, *, words_only: bool = False) -> None:
    """Update the index before an answer, so that changes without a hook are found too.

    An index that cannot be written (read-only, another process at work) still answers. A process that has not
    read the latest commits is waited for briefly.

    Args:
        patina: the repository.
        show: progress of a command that shows it.
        words_only: the command needs no vectors.

    Raises:
        StateError: the repository has no index.
    """
    if not patina.repository.state.is_dir():
        raise StateError("this repository has no index yet", hint="patina init")
    renew_script(patina.repository.state, sys.executable)
    from patina_hooks.upkeep.change_token import is_unchanged

    if is_unchanged(patina.repository):
        return
    # Event hooks may be slow: they are called after the answer is printed.
    click.get_current_context().find_root().call_on_close(patina.deliver_events)
    try:
        with nullcontext(show) if show else show_progress("update of the index") as progress:
            report = _sync_quickly(patina, progress, words_only)
    except (GitError, StateError) as error:
        say(f"the index was not updated: {error}")
        return
    if report is None and not patina.is_current():
        say("another patina process is running; the latest commits are not indexed yet")
    if report is None or report.postponed:
        from patina_hooks.upkeep.worker import wake_worker

        wake_worker(patina.repository.common, patina.repository.root)


def _sync_quickly(patina: Patina, progress: Progress, words_only: bool) -> SyncReport | None:
    def sync(wait: float) -> SyncReport | None:
        return patina.sync(
            wait=wait, most=QUICK, quick=True, words_only=words_only, progress=progress, deliver=False
        )

    report = sync(0)
    return sync(_PATIENCE) if report is None and not patina.is_current() else report
