"""`patina session note`."""

from __future__ import annotations

import click

from patina_hooks.commands.options import json_option, print_json
from patina_hooks.commands.session.shared import (
    open_repository,
    session_option,
    wake_worker,
    warn_of_secrets,
)


@click.command("note")
@click.argument("text")
@session_option
@json_option
def note_command(text: str, session: str | None, as_json: bool) -> None:
    """Append a note with the branch and commit it was made on."""
    from patina_hooks import sessions

    repository = open_repository()
    noted = sessions.note(repository, text, session=session)
    warn_of_secrets("note", text)
    wake_worker(repository)
    if as_json:
        print_json({"id": noted.session.id, "place": noted.location, "text": noted.text}, indented=True)
    else:
        click.echo(f"noted in session {noted.session.id} at {noted.location}")
