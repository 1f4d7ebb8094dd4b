"""Options of a question, converted to the arguments of `Patina.search`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from patina_hooks.errors import UsageError

if TYPE_CHECKING:
    from patina_hooks.commands.options import Decorator


def step_option(name: str, help_text: str) -> Decorator:
    """Build the option of a step that plugins provide: None where it is not used."""

    def none_if_empty(_: click.Context, __: click.Parameter, names: tuple[str, ...]) -> object:
        return names or None

    return click.option(
        name, f"{name[2:]}s", metavar="NAME", multiple=True, callback=none_if_empty, help=help_text
    )


def parse_collection(_: click.Context, __: click.Parameter, collection: str) -> tuple[str, ...]:
    """Convert the name of a collection; "all" names none."""
    return () if collection == "all" else (collection,)


def parse_fields(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> list[tuple[str, str]]:
    """Split each NAME=VALUE.

    Raises:
        UsageError: a text is not of that form.
    """
    return [_parse_field(text) for text in texts]


def parse_day(_: click.Context, __: click.Parameter, text: str | None) -> int | None:
    """Convert a date to seconds since 1970.

    Raises:
        UsageError: the text is not a date.
    """
    if text is None:
        return None
    from patina_hooks.text.dates import parse_date  # compiles a dozen patterns

    return parse_date(text)


def parse_path(_: click.Context, __: click.Parameter, path: str | None) -> Path | None:
    """Make a path absolute: it is relative to the current folder."""
    return Path.cwd() / path if path else None


def _parse_field(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise UsageError(f"invalid field {text!r}; use NAME=VALUE", hint="patina scry --field NAME=VALUE")
    return name, value
