"""`patina models explain`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from patina_hooks.commands.models.lookup import load_plugins, runtime_option
from patina_hooks.commands.options import json_option, print_json
from patina_hooks.text.display import clean_line, format_size


@click.command("explain")
@click.argument("name")
@runtime_option
@json_option
def explain_command(name: str, runtime: str, as_json: bool) -> None:
    """Explain which runtime runs a model here, and why no other does."""
    from patina_hooks.models.catalog.registry import explain_choice
    from patina_hooks.models.choice import runtime_for

    plugins = load_plugins()
    spec = plugins.model(name)
    choice = explain_choice(plugins, spec, runtime)
    if as_json:
        print_json(choice, indented=True)
    else:
        click.echo("\n".join(_lines(choice)))
    runtime_for(plugins, spec, runtime)  # raises, with a hint, if it cannot run


def _lines(choice: Mapping[str, Any]) -> Iterator[str]:
    chosen = choice["runtime"]
    requested = "any runtime" if choice["wanted"] == "auto" else clean_line(choice["wanted"])
    yield f"{clean_line(choice['model'])}: {chosen or f'cannot be run by {requested}'} ({choice['platform']})"
    width = max([8, *(len(runtime["runtime"]) + 1 for runtime in choice["runtimes"])])
    for runtime in choice["runtimes"]:
        yield from _runtime_lines(runtime, width, is_chosen=runtime["runtime"] == chosen)
    if choice["variant"]:
        yield f"your settings compute in {clean_line(choice['variant'])}: its vectors are kept apart"


def _runtime_lines(runtime: Mapping[str, Any], width: int, *, is_chosen: bool) -> Iterator[str]:
    mark = "*" if is_chosen else " "
    bytes_text = "" if runtime["bytes"] == 0 else f" ({format_size(runtime['bytes'])})"
    yield f"{mark} {clean_line(runtime['runtime']):<{width}}{clean_line(runtime['reason'])}{bytes_text}"
    if runtime["remedy"]:
        yield f"{'':<{width + 2}}{clean_line(runtime['remedy'])}"
