"""`patina session show`."""

from __future__ import annotations

from dataclasses import asdict

import click

from patina_hooks.commands.options import json_option, print_json
from patina_hooks.commands.session.shared import open_repository
from patina_hooks.text.display import strip_controls


@click.command("show")
@click.argument("session", metavar="ID")
@json_option
def show_command(session: str, as_json: bool) -> None:
    """Print the document of a session; the beginning of its ID is enough."""
    from patina_hooks import sessions

    document = sessions.find_session(open_repository(), session)
    if as_json:
        print_json(asdict(document), indented=True)
    else:
        click.echo(strip_controls(document.text), nl=not document.text.endswith("\n"))
