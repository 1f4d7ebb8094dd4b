"""`patina models compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from patina_hooks.commands.freshness import freshen, open_patina
from patina_hooks.commands.messages import say
from patina_hooks.commands.options import (
    json_option,
    picture_option,
    print_json,
    require_writable,
    write_picture,
)
from patina_hooks.system.progress import show_progress

_NO_MODEL_RAN: Final = 2


@click.command("compare")
@click.argument("names", nargs=-1, required=True, metavar="MODEL[@RUNTIME]...")
@click.option("--runtime", default="", metavar="NAME", help="Runtime of models that name none.")
@json_option
@picture_option
@click.pass_context
def compare_command(
    context: click.Context, names: tuple[str, ...], runtime: str, as_json: bool, picture: Path | None
) -> None:
    """Compare models on questions from this repository's history, and their cost on this machine.

    The first model is the reference for the others. The model in use stays; vectors are kept, and an
    interrupted comparison resumes.
    """
    # Late: these import numpy.
    from patina_hooks.evaluation.comparison import candidates, compare, conclusion, model_comparison, page

    if picture:  # before an hour of embedding
        require_writable(picture)
    with open_patina() as patina, show_progress("comparison") as progress:
        freshen(patina, progress)
        models = candidates.candidates(patina, names, runtime)
        comparison = compare.compare_models(patina, models, progress=progress, announce=say)
    if as_json:
        print_json(model_comparison.comparison_as_json(comparison, conclusion.conclude(comparison)))
    else:
        click.echo("\n".join(page.page(comparison)))
    if comparison.reference is None:
        context.exit(_NO_MODEL_RAN)
    if picture:
        write_picture(picture, page.render_chart(comparison))
