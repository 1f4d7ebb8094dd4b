"""`patina log`: what was recorded, newest first."""

from __future__ import annotations

import json
from datetime import datetime

import click

from patina_hooks.commands.fresh import freshen, opened
from patina_hooks.display import clean_line


@click.command("log")
@click.option("-n", "limit", type=click.IntRange(1, 100_000), default=20, show_default=True)
@click.option(
    "--kind", help="Only events of this kind: commit, gone, document, left, session, skipped, fault."
)
@click.option("--json", "as_json", is_flag=True, help="A list for programs.")
def log_command(limit: int, kind: str | None, as_json: bool) -> None:
    """What was recorded, newest first."""
    with opened() as patina:
        freshen(patina)
        events = patina.events(limit=limit, kind=kind)
    if as_json:
        rows = [{"time": e.time, "kind": e.kind, "subject": e.subject, "detail": e.detail} for e in events]
        click.echo(json.dumps(rows))
        return
    for event in events:
        when = datetime.fromtimestamp(event.time).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        subject = event.subject[:10] if event.kind in ("commit", "gone") else event.subject
        click.echo(f"{when}  {event.kind:<9} {clean_line(subject)}  {clean_line(event.detail)}".rstrip())
