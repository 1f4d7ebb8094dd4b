"""`patina models recommend`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from patina_hooks.commands.models.lookup import load_plugins
from patina_hooks.commands.options import json_option, print_json

if TYPE_CHECKING:
    from patina_hooks.models.catalog.recommend import Recommendation


@click.command("recommend")
@click.option(
    "--language", "languages", multiple=True, metavar="CODE", help="Language of your texts; default en."
)
@json_option
def recommend_command(languages: tuple[str, ...], as_json: bool) -> None:
    """Recommend a model for this machine and your languages, with reasons."""
    from patina_hooks.models.catalog.recommend import as_json_object, recommend, this_machine

    recommendation = recommend(load_plugins(), this_machine(), languages or ("en",))
    if as_json:
        print_json(as_json_object(recommendation), indented=True)
    else:
        click.echo("\n".join(_lines(recommendation)))


def _lines(recommendation: Recommendation) -> Iterator[str]:
    yield f"{recommendation.model or 'none'}: {recommendation.reason}"
    yield from (f"  {command}" for command in recommendation.commands)
    yield from (f"  not {rejected.model}: {rejected.reason}" for rejected in recommendation.rejected)
