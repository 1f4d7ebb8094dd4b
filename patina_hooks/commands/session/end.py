"""`patina session end`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from patina_hooks.commands.messages import say
from patina_hooks.commands.options import json_option, print_json
from patina_hooks.commands.session.shared import (
    number_fields,
    open_repository,
    render_numbers,
    session_option,
    wake_worker,
)

if TYPE_CHECKING:
    from patina_hooks.git.repository import Repository
    from patina_hooks.sessions import Ended


@click.command("end")
@click.option("--commit", is_flag=True, help="Commit the archived document, and nothing else.")
@click.option("--all", "end_all", is_flag=True, help="End all sessions of this work tree (--json: a list).")
@session_option
@json_option
def end_command(commit: bool, end_all: bool, session: str | None, as_json: bool) -> None:
    """End a session: tag HEAD, classify it and archive its document."""
    if end_all and session is not None:
        raise click.UsageError("--all cannot be combined with --session")
    repository = open_repository()
    try:
        ended = _end(repository, commit, end_all, session)
    finally:
        # Also where only the commit failed: the session is ended by then.
        wake_worker(repository)
    if as_json:
        values = [_fields(item) for item in ended]
        print_json(values if end_all else values[0], indented=True)
        return
    for item in ended:
        click.echo(_render(item, str(repository.root)))
        if item.numbers is None:
            say("warning: the start of the session is not in this repository; its figures are unknown")


def _end(repository: Repository, commit: bool, end_all: bool, session: str | None) -> Sequence[Ended]:
    from patina_hooks import sessions

    if end_all:
        return sessions.end_all(repository, commit=commit)
    return [sessions.end(repository, session=session, commit=commit)]


def _fields(ended: Ended) -> dict[str, object]:
    fields = asdict(ended)
    del fields["numbers"]
    return {**fields, **number_fields(ended.numbers)}


def _render(ended: Ended, root: str) -> str:
    path = ended.path if ended.work_tree == root else f"{ended.work_tree}/{ended.path}"
    return f"session {ended.id} ended: {ended.work_type}, {render_numbers(ended.numbers)}\n  {path}"
