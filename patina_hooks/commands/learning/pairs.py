"""`patina pairs`: training pairs with their evidence."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Final

import click

from patina_hooks.commands.freshness import freshen, open_patina
from patina_hooks.commands.messages import say
from patina_hooks.commands.options import json_option, limit_option, print_json
from patina_hooks.text.display import clean_line

if TYPE_CHECKING:
    from patina_hooks.pairs.stored import ShownPair

_MOST_CHARACTERS: Final = 100


@click.command("pairs")
@limit_option("pairs", 10, 1_000_000)
@click.option("--kind", help="Only pairs of this kind.")
@json_option
def pairs_command(limit: int, kind: str | None, as_json: bool) -> None:
    """List training pairs with their evidence."""
    with open_patina() as patina:
        freshen(patina, words_only=True)
        pairs = patina.pairs(kind=kind, limit=limit)
    if as_json:
        print_json([asdict(pair) for pair in pairs])
    elif pairs:
        click.echo("\n".join(_render(pair) for pair in pairs))
    elif kind:
        say(f"no pairs of kind {kind!r}", hint="patina status --json")
    else:
        say("no pairs: no recorded commit or session document yields any", hint="patina status")


def _render(pair: ShownPair) -> str:
    return (
        f"{pair.kind}  {pair.weight:.2f}  {clean_line(pair.evidence)}\n"
        f"  {clean_line(pair.anchor)[:_MOST_CHARACTERS]}\n"
        f"  {clean_line(pair.positive)[:_MOST_CHARACTERS]}"
    )
