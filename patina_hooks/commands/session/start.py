"""`patina session start`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from patina_hooks.commands.messages import say
from patina_hooks.commands.options import json_option, print_json
from patina_hooks.commands.session.shared import (
    header_fields,
    open_repository,
    wake_worker,
    warn_of_secrets,
)
from patina_hooks.text.display import format_count

if TYPE_CHECKING:
    from patina_hooks.sessions import Started


@click.command("start")
@click.argument("title")
@click.option("--adapter", metavar="NAME", help="Assistant of the session; becomes part of the tag names.")
@click.option("--continues", metavar="ID", help="Session that this one continues.")
@json_option
def start_command(title: str, adapter: str | None, continues: str | None, as_json: bool) -> None:
    """Start a session: tag HEAD and open its document."""
    from patina_hooks import sessions

    repository = open_repository()
    started = sessions.start(repository, title, adapter=adapter, continues=continues)
    warn_of_secrets("title", title)
    wake_worker(repository)
    _warn(started)
    if as_json:
        print_json({**header_fields(started.session), "abandoned": None}, indented=True)
    else:
        click.echo(_render(started))


def _warn(started: Started) -> None:
    if started.uncommitted is None:
        say("warning: could not check for uncommitted changes; the tag points to HEAD")
    elif started.uncommitted:
        files = format_count(started.uncommitted, "tracked file")
        say(f"warning: {files} with uncommitted changes; the tag points to HEAD, without them")
    if started.cut:
        length = len(started.session.title)
        say(f"warning: the title was cut at {length} characters", hint='patina session note "the rest"')


def _render(started: Started) -> str:
    session = started.session
    return f"session {session.id} started: {session.title}\n  on {session.branch}, tag {session.start_tag}"
