"""`patina models show`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import click

from patina_hooks.commands.models.lookup import model_state
from patina_hooks.commands.options import json_option, print_json
from patina_hooks.text.display import clean_line, format_size

_KEYS: Final = (
    "description",
    "lengths",
    "max_tokens",
    "pooling",
    "layer",
    "query_prefix",
    "passage_prefix",
    "task",
    "languages",
    "parameters",
    "licence",
    "runtime",
    "state",
    "remedy",
)


@click.command("show")
@click.argument("name")
@json_option
def show_command(name: str, as_json: bool) -> None:
    """Show how a model makes vectors, and its files."""
    from patina_hooks.models.catalog.registry import as_details

    details = as_details(model_state(name))
    if as_json:
        print_json(details, indented=True)
    else:
        click.echo("\n".join(_lines(details)))


def _lines(details: Mapping[str, Any]) -> Iterator[str]:
    yield click.style(clean_line(details["name"]), bold=True)
    for key in _KEYS:
        if (value := details[key]) not in (None, "", []):
            yield f"  {key.replace('_', ' '):<16}{clean_line(_render_value(key, value))}"
    for file in details["files"]:
        role = clean_line(f"{file['runtime']} {file['role']}")
        yield f"  {role:<{max(16, len(role) + 1)}}{clean_line(file['source'])}"
        yield f"  {'':<16}{clean_line(file['path'] or 'not here')}  {format_size(file['bytes'])}"


def _render_value(key: str, value: object) -> str:
    if key.endswith("prefix"):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return ", ".join(value)
    return f"{value:,}" if isinstance(value, int) else str(value)
