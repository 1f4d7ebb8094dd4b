"""Options that several commands have, each with one name and one help text."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TextIO, TypeAlias

import click

from patina_hooks.errors import UsageError

Decorator: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]

json_option: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
picture_option: Final = click.option(
    "--picture", type=click.Path(path_type=Path), metavar="FILE", help="Draw the figures (SVG)."
)


def limit_option(noun: str, default: int, most: int) -> Decorator:
    """Build `-n`: how many rows a listing has at most."""
    return click.option(
        "-n", "limit", type=click.IntRange(1, most), default=default, show_default=True,
        help=f"Maximum number of {noun}.",
    )  # fmt: skip


def print_json(value: object, *, indented: bool = False, file: TextIO | None = None) -> None:
    """Print a value as one JSON document."""
    click.echo(json.dumps(value, indent=2 if indented else None), file=file)


def require_writable(path: Path) -> None:
    """Check that a file can be written, and leave it as it is.

    Raises:
        UsageError: it cannot.
    """
    with _named_in_errors(path):
        is_new = not path.exists()
        path.open("a").close()
        if is_new:
            path.unlink()


def write_picture(path: Path, svg: str) -> None:
    """Write a picture.

    Raises:
        UsageError: the file cannot be written.
    """
    with _named_in_errors(path):
        path.write_text(svg, "utf-8")


@contextmanager
def _named_in_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
