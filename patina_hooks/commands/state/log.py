"""`patina log`: what was recorded, newest first."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime

import click

from patina_hooks.commands.freshness import freshen, open_patina
from patina_hooks.commands.messages import say
from patina_hooks.store.events import Event
from patina_hooks.text.display import clean_line

_KINDS = ("commit", "gone", "document", "left", "session", "skipped", "fault")
_TIME = "%Y-%m-%d %H:%M:%S"


@click.command("log")
@click.option(
    "-n", "limit", type=click.IntRange(1, 100_000), default=20, show_default=True, help="How many events."
)
@click.option(
    "--kind", type=click.Choice(_KINDS), metavar="KIND", help=f"Only this kind: {', '.join(_KINDS)}."
)
@click.option("--json", "as_json", is_flag=True, help="A list for programs.")
def log_command(limit: int, kind: str | None, as_json: bool) -> None:
    """List what was recorded, newest first.

    A commit stands at its own date, anything else at the time of its recording.
    """
    with open_patina() as patina:
        freshen(patina, words_only=True)
        events = patina.events(limit=limit, kind=kind)
    if as_json:
        click.echo(json.dumps([asdict(event) for event in events]))
        return
    if not events:
        say(
            f"no event of the kind {kind!r} is recorded"
            if kind
            else "no event is recorded yet: no branch or tag has a commit"
        )
        return
    click.echo("\n".join(_line(event) for event in events))


def _line(event: Event) -> str:
    """The event at its date; the time of recording where that is another."""
    subject = event.subject[:10] if event.kind in ("commit", "gone") else event.subject
    recorded = f"  (recorded {_local(event.time)})" if event.time != event.dated else ""
    text = f"{clean_line(subject)}  {clean_line(event.detail)}".rstrip()
    return f"{_local(event.dated)}  {event.kind:<9} {text}{recorded}"


def _local(moment: int) -> str:
    try:
        return datetime.fromtimestamp(moment).astimezone().strftime(_TIME)
    except (OverflowError, OSError, ValueError):  # git takes a date of any year
        return str(moment)
