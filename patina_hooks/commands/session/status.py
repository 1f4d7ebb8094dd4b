"""`patina session status`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from patina_hooks.commands.options import json_option, print_json
from patina_hooks.commands.session.shared import (
    header_fields,
    number_fields,
    open_repository,
    render_numbers,
)
from patina_hooks.text.date_format import format_time

if TYPE_CHECKING:
    from patina_hooks.sessions import Progress


@click.command("status")
@json_option
def status_command(as_json: bool) -> None:
    """Show the active sessions of this work tree."""
    from patina_hooks import sessions

    active = sessions.active_sessions(open_repository())
    if as_json:
        values = [{**header_fields(item.session), **number_fields(item.numbers)} for item in active]
        print_json({"active": values[-1] if values else None, "sessions": values}, indented=True)
    elif active:
        click.echo("\n".join(_render(item) for item in active))
    else:
        click.echo("no active session")


def _render(progress: Progress) -> str:
    session = progress.session
    return (
        f"session {session.id}: {session.title}\n"
        f"  since {format_time(session.started)} on {session.branch}, with {session.adapter}\n"
        f"  {render_numbers(progress.numbers)}"
    )
