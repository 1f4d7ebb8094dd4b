"""`patina pairs`: training pairs with their evidence."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from patina_hooks.commands.freshness import freshen, open_patina
from patina_hooks.commands.messages import say
from patina_hooks.text.display import clean_line


@click.command("pairs")
@click.option("-n", "limit", type=click.IntRange(1, 1_000_000), default=10, show_default=True)
@click.option("--kind", help="Only pairs of this kind.")
@click.option("--json", "as_json", is_flag=True, help="A list for programs.")
def pairs_command(limit: int, kind: str | None, as_json: bool) -> None:
    """Show training pairs with their evidence."""
    with open_patina() as patina:
        freshen(patina, words_only=True)
        pairs = patina.pairs(kind=kind, limit=limit)
    if as_json:
        click.echo(json.dumps([asdict(pair) for pair in pairs]))
        return
    if not pairs:
        kinds = f" of the kind {kind}" if kind else ""
        say(f"no pairs{kinds}: no commit or session document that was recorded gives one; patina status")
    for pair in pairs:
        click.echo(f"{pair.kind}  {pair.weight:.2f}  {clean_line(pair.evidence)}")
        click.echo(f"  {clean_line(pair.anchor)[:100]}\n  {clean_line(pair.positive)[:100]}")
