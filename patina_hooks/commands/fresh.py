"""What commands share before they answer: the repository opened, and brought up to date if that is quick."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from patina_hooks.errors import GitError, StateError
from patina_hooks.git.hook_script import renew_script
from patina_hooks.system.progress import show_progress
from patina_hooks.text.display import clean_text

if TYPE_CHECKING:
    from patina_hooks.api import Patina
    from patina_hooks.specs.plugins import Fault
    from patina_hooks.upkeep.sync import Progress, SyncReport

QUICK = 64
"""Texts that a command embeds itself; more are the worker's."""
_PATIENCE = 2.0
"""Seconds to wait for a process that has yet to read what is new."""


def opened(*, to_ask: bool = False) -> Patina:
    """The memory of the repository that encloses the current folder. Raises `NotARepository`.

    to_ask: begin to open the model that answers before anything else, git and this package included.
    """
    opening = None
    if to_ask:
        from patina_hooks.search.opening import Opening

        opening = Opening(Path.cwd())
    # Held to the end: to take a model down costs 16 ms, which the end of the process does for nothing.
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
    """Update the index before an answer, so that what no hook told is seen all the same.

    What cannot be written now (read-only, another process at work) is no reason not to answer. Where another
    process has yet to read what is new, it is waited for a moment. show: of a command that shows progress.
    words_only: for a command that needs no vectors.
    Raises `StateError` where nothing was ever recorded.
    """
    if not patina.repository.state.is_dir():
        raise StateError("this repository has no memory yet", hint="patina init")
    renew_script(patina.repository.state, sys.executable)
    from patina_hooks.upkeep.change_token import is_unchanged

    if is_unchanged(patina.repository):
        return
    # Event hooks may take their time: they are called when the answer is printed.
    click.get_current_context().find_root().call_on_close(patina.deliver_events)
    try:
        with nullcontext(show) if show else show_progress("update of the index") as progress:
            report = _sync_quickly(patina, progress, words_only)
    except (GitError, StateError) as error:
        say(f"answering from what was recorded: {error}")
        return
    if report is None and not patina.is_current():
        say("another patina process is running; the latest commits are not indexed yet")
    if report is None or report.postponed:
        from patina_hooks.upkeep.worker import wake

        wake(patina.repository.common, patina.repository.root)


def _sync_quickly(patina: Patina, progress: Progress, words_only: bool) -> SyncReport | None:
    def sync(wait: float) -> SyncReport | None:
        return patina.sync(
            wait=wait, most=QUICK, quick=True, words_only=words_only, progress=progress, deliver=False
        )

    report = sync(0)
    return sync(_PATIENCE) if report is None and not patina.is_current() else report


def say_fault(fault: Fault) -> None:
    """What does not work, and what to type next, on stderr."""
    say(f"{fault.plugin}: {fault.where}: {fault.error}")
    if fault.hint:
        click.echo(f"  try: {clean_text(fault.hint)}", err=True)


def say(message: str) -> None:
    """One line on stderr, safe for a terminal."""
    click.echo(f"patina: {clean_text(message)}", err=True)
