"""`patina models compare`: which model finds more here, and what it costs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from patina_hooks.commands.fresh import freshen, opened, say
from patina_hooks.errors import UsageError
from patina_hooks.system.progress import show_progress

_NOTHING_RAN = 2


@click.command("compare")
@click.argument("names", nargs=-1, required=True, metavar="MODEL[@RUNTIME]...")
@click.option("--runtime", default="", metavar="NAME", help="For those that name none.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@click.option("--picture", type=click.Path(path_type=Path), metavar="FILE", help="Draw the figures (SVG).")
@click.pass_context
def compare_command(
    context: click.Context, names: tuple[str, ...], runtime: str, as_json: bool, picture: Path | None
) -> None:
    """Measure models on questions from this repository's own history, and what they cost on this machine.

    The others are compared with the first that is named. Nothing changes what answers; vectors are kept, so
    that an interrupted comparison goes on where it was.
    """
    # numpy, and all that is measured with.
    from patina_hooks.evaluation.comparison import candidates, compare, conclusion, page, results

    if picture:  # not after an hour of embedding
        _try(picture)
    with opened() as patina, show_progress("comparison") as show:
        freshen(patina, show)
        chosen = candidates.candidates(patina, names, runtime)
        comparison = compare.compare(patina, chosen, progress=show, say=say)
    if as_json:
        click.echo(json.dumps(results.as_json(comparison, conclusion.conclude(comparison))))
    else:
        click.echo("\n".join(page.page(comparison)))
    if comparison.reference is None:
        context.exit(_NOTHING_RAN)
    if picture:
        _write(picture, page.picture(comparison))


def _try(path: Path) -> None:
    """Leaves what is there as it is."""
    with _writing(path):
        is_new = not path.exists()
        path.open("a").close()
        if is_new:
            path.unlink()


def _write(path: Path, text: str) -> None:
    with _writing(path):
        path.write_text(text, "utf-8")


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
