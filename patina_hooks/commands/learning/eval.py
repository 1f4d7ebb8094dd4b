"""`patina eval`: how well search answers, measured on the repository's own history."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from patina_hooks.commands.freshness import freshen, open_patina
from patina_hooks.commands.messages import say_fault
from patina_hooks.commands.options import json_option, picture_option, print_json, write_picture
from patina_hooks.errors import UsageError
from patina_hooks.system.progress import show_progress

if TYPE_CHECKING:
    from patina_hooks.evaluation.results import Evaluation


@click.command("eval")
@click.option("--set", "names", metavar="NAME", multiple=True, help="Only this query set (may be repeated).")
@click.option(
    "--queries", type=click.Path(path_type=Path), metavar="FILE", help="Add queries of your own, in JSON."
)
@json_option
@picture_option
@click.option(
    "--gate", type=click.Path(path_type=Path), metavar="BASELINE",
    help="Compare with the JSON of an earlier run; exit 1 if answers became worse.",
)  # fmt: skip
@click.option(
    "--drop", type=click.FloatRange(0, 1), default=0.02, show_default=True, help="Drop that --gate tolerates."
)
@click.option("--tune", is_flag=True, help="Tune the weights of fusion on the past; test them on the rest.")
@click.pass_context
def eval_command(
    context: click.Context, names: tuple[str, ...], queries: Path | None, as_json: bool,
    picture: Path | None, gate: Path | None, drop: float, tune: bool,
) -> None:  # fmt: skip
    """Evaluate search with questions from this repository's own history."""
    # Late: these import numpy.
    from patina_hooks.commands.learning import eval_page, eval_picture, verdict_page
    from patina_hooks.evaluation import regression, results

    if tune and (names or queries or gate or picture):
        raise UsageError("--tune can be combined only with --json", hint="patina eval --tune")
    if tune:
        _tune(as_json)
        return
    baseline = regression.read_baseline(gate) if gate else None
    evaluation = _evaluate(names, queries)
    verdict = (
        regression.compare_with_baseline(evaluation, baseline, drop, narrowed=bool(names))
        if baseline
        else None
    )
    if picture:
        write_picture(picture, eval_picture.draw(evaluation))
    if as_json:
        gate_fields = {"gate": verdict_page.as_object(verdict)} if verdict else {}
        print_json({**results.evaluation_as_json(evaluation), **gate_fields})
    else:
        click.echo("\n".join(eval_page.render_lines(evaluation)))
        if verdict:
            click.echo("\n".join(verdict_page.render_lines(verdict)))
    if verdict and verdict.fell:
        context.exit(1)
    if verdict and verdict.trouble:
        raise UsageError(verdict.trouble, hint="patina eval --json > baseline.json")


def _evaluate(names: tuple[str, ...], queries: Path | None) -> Evaluation:
    from patina_hooks.evaluation.evaluate import evaluate

    with open_patina() as patina, show_progress("evaluation") as progress:
        freshen(patina, progress)
        return evaluate(patina, names=names, queries=queries, progress=progress, on_fault=say_fault)


def _tune(as_json: bool) -> None:
    from patina_hooks.commands.learning import tuning_page
    from patina_hooks.evaluation.evaluate import tune

    with open_patina() as patina, show_progress("evaluation") as progress:
        freshen(patina, progress)
        tuned = tune(patina, progress)
    if as_json:
        print_json(tuning_page.as_object(tuned))
    else:
        click.echo(tuning_page.render(tuned))
