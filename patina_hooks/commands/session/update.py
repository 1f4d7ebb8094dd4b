"""`patina session update`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from patina_hooks.commands.options import json_option, print_json
from patina_hooks.commands.session.shared import open_repository, session_option, wake_worker
from patina_hooks.text.display import format_count

if TYPE_CHECKING:
    from patina_hooks.sessions import Updated


@click.command("update")
@session_option
@json_option
def update_command(session: str | None, as_json: bool) -> None:
    """Append the git activity since the start; write your own words below it."""
    from patina_hooks import sessions

    repository = open_repository()
    updated = sessions.update(repository, session=session)
    wake_worker(repository)
    if as_json:
        print_json(_fields(updated), indented=True)
    else:
        click.echo(_render(updated))


def _fields(updated: Updated) -> dict[str, object]:
    return {
        "id": updated.session.id,
        "since": updated.since,
        "path": updated.path,
        "commits": updated.commits,
        "files": updated.files,
        "last_commit": updated.last_commit,
    }


def _render(updated: Updated) -> str:
    figures = f"{format_count(updated.commits, 'commit')}, {format_count(updated.files, 'file')}"
    return (
        f"{figures}, last commit {updated.last_commit}\n"
        f"  describe the work below the update in {updated.path}"
    )
