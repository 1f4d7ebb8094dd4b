"""`patina log`: the events that were recorded."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

import click

from patina_hooks.commands.freshness import freshen, open_patina
from patina_hooks.commands.messages import say
from patina_hooks.commands.options import json_option, limit_option, print_json
from patina_hooks.store.events import Event
from patina_hooks.text.display import clean_line

_KINDS = ("commit", "gone", "document", "left", "session", "skipped", "fault")
_TIME = "%Y-%m-%d %H:%M:%S"


@click.command("log")
@limit_option("events", 20, 100_000)
@click.option(
    "--kind", type=click.Choice(_KINDS), metavar="KIND", help=f"Only this kind: {', '.join(_KINDS)}."
)
@json_option
def log_command(limit: int, kind: str | None, as_json: bool) -> None:
    """List recorded events, newest first.

    A commit has its own date, any other event the time of its recording.
    """
    with open_patina() as patina:
        freshen(patina, words_only=True)
        events = patina.events(limit=limit, kind=kind)
    if as_json:
        print_json([asdict(event) for event in events])
    elif events:
        click.echo("\n".join(_render(event) for event in events))
    elif kind:
        say(f"no events of kind {kind!r}")
    else:
        say("no events yet: no branch or tag has a commit")


def _render(event: Event) -> str:
    """Render an event at its date, with the time of its recording if that differs."""
    subject = event.subject[:10] if event.kind in ("commit", "gone") else event.subject
    recorded = f"  (recorded {_format_moment(event.time)})" if event.time != event.dated else ""
    text = f"{clean_line(subject)}  {clean_line(event.detail)}".rstrip()
    return f"{_format_moment(event.dated)}  {event.kind:<9} {text}{recorded}"


def _format_moment(moment: int) -> str:
    try:
        return datetime.fromtimestamp(moment).astimezone().strftime(_TIME)
    except (OverflowError, OSError, ValueError):  # git accepts dates of any year
        return str(moment)
