"""`patina gc`."""

from __future__ import annotations

import click

from patina_hooks.commands.freshness import open_patina
from patina_hooks.commands.messages import say
from patina_hooks.system.progress import show_progress
from patina_hooks.text.display import format_count, format_size


@click.command("gc")
def gc_command() -> None:
    """Remove data that no branch or tag references, and results of absent plugins and other models."""
    with open_patina() as patina, show_progress("gc") as progress:
        patina.sync(progress=progress)
        freed = patina.gc()
    if freed.kept:
        say(f"kept the vectors of other models: cannot read the model of the recipe: {freed.kept}")
    pairs = f" {format_count(freed.pairs, 'pair')}," if freed.pairs else ""
    click.echo(
        f"freed {format_count(freed.observations, 'observation')},{pairs}"
        f" {format_count(freed.embeddings, 'embedding')}, {format_size(freed.bytes)}"
    )
