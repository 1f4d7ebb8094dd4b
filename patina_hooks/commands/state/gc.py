"""`patina gc`."""

from __future__ import annotations

import click

from patina_hooks.commands.fresh import opened, say
from patina_hooks.commands.progress import show_progress
from patina_hooks.text.display import count, size


@click.command("gc")
def gc_command() -> None:
    """Free what no live ref needs: observations, embeddings, vectors of other models."""
    with opened() as patina, show_progress("gc") as progress:
        patina.sync(progress=progress)
        freed = patina.gc()
    if freed.kept:
        say(f"what other models made was kept: what the recipe asks for cannot be told now: {freed.kept}")
    click.echo(
        f"freed {count(freed.observations, 'observation')}, {count(freed.embeddings, 'embedding')},"
        f" {size(freed.bytes)}"
    )
