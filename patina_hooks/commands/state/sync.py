"""`patina sync`."""

from __future__ import annotations

import sys
from contextlib import suppress

import click

from patina_hooks.commands.freshness import open_patina
from patina_hooks.commands.messages import say_fault
from patina_hooks.errors import StateError
from patina_hooks.git.hook_script import renew_script
from patina_hooks.git.hooks import repair_hooks
from patina_hooks.git.repository import Repository
from patina_hooks.system.progress import show_progress
from patina_hooks.text.display import format_count
from patina_hooks.upkeep.sync import SyncReport


@click.command("sync")
@click.option("--full", is_flag=True, help="Rebuild the index; cached embeddings are kept.")
def sync_command(full: bool) -> None:
    """Update the index from the repository."""
    with open_patina() as patina, show_progress("sync") as progress:
        report = patina.sync(full=full, progress=progress)
        _repair_hooks(patina.repository)
    if report is not None:
        click.echo(summarize(report))
        for fault in report.faults:
            say_fault(fault)


def _repair_hooks(repository: Repository) -> None:
    renew_script(repository.state, sys.executable)
    with suppress(StateError):  # a folder that is not writable: `patina doctor` names it
        if repaired := repair_hooks(repository):
            click.echo(f"hooks reinstalled; another tool had removed them: {', '.join(repaired)}", err=True)


def summarize(report: SyncReport) -> str:
    """Summarize a sync in one line."""
    parts = [
        text
        for number, text in (
            (report.commits, format_count(report.commits, "new commit")),
            (report.gone, format_count(report.gone, "commit") + " gone"),
            (report.sessions, format_count(report.sessions, "session") + " changed"),
            (report.added, format_count(report.added, "observation") + " in"),
            (report.removed, format_count(report.removed, "observation") + " out"),
            (report.encoded, format_count(report.encoded, "text") + " embedded"),
            (report.cut, f"{report.cut:,} longer than the model reads"),
            (report.pending, format_count(report.pending, "text") + _pending(report)),
        )
        if number
    ]
    return f"{', '.join(parts) or 'nothing new'} ({report.seconds:.2f} s)"


def _pending(report: SyncReport) -> str:
    return " pending" if report.postponed else " pending, without a vector until the model is available"
