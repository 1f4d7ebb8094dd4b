"""`patina status`."""

from __future__ import annotations

from dataclasses import asdict, replace

import click

from patina_hooks.commands.freshness import freshen, open_patina
from patina_hooks.commands.options import json_option, print_json
from patina_hooks.commands.state.status_page import render
from patina_hooks.upkeep.backlog import describe_unread_events


@click.command("status")
@json_option
def status_command(as_json: bool) -> None:
    """Show what is indexed, what is pending, and errors."""
    with open_patina() as patina:
        unread = describe_unread_events(patina.repository.state)
        freshen(patina, words_only=True)
        status = patina.status()
    if unread:
        status = replace(status, warnings=(*status.warnings, f"{unread}; patina doctor"))
    if as_json:
        print_json(asdict(status))
    else:
        click.echo(render(status))
