"""`patina models list`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

import click

from patina_hooks.commands.models.lookup import load_plugins, say_faults
from patina_hooks.commands.options import json_option, print_json
from patina_hooks.text.display import clean_line, format_size

if TYPE_CHECKING:
    from patina_hooks.models.catalog.registry import FilesState, ModelState
    from patina_hooks.specs.models import ModelSpec

_HEAD: Final = ("NAME", "LENGTH", "TOKENS", "LANGUAGES", "LICENCE", "RUNTIME", "SIZE", "")
_STATES: Final = {"pull": "not pulled", "absent": "its files are absent"}


@click.command("list")
@json_option
def list_command(as_json: bool) -> None:
    """List installed models and whether they are ready."""
    from patina_hooks.models.catalog.registry import as_object, model_states

    plugins = load_plugins()
    states = model_states(plugins)
    say_faults(plugins)
    if as_json:
        print_json([as_object(state) for state in states], indented=True)
    else:
        click.echo(_render(states))


def _render(states: Iterable[ModelState]) -> str:
    rows = [_HEAD, *(row for state in states for row in _rows(state))]
    widths = [max(len(clean_line(row[column])) for row in rows) for column in range(len(_HEAD))]
    lines = (
        "  ".join(f"{clean_line(cell):<{width}}" for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def _rows(state: ModelState) -> Iterator[tuple[str, ...]]:
    """Yield the row of a model, and one for each precision that is used by name only."""
    spec = state.spec
    yield (
        spec.name,
        str(spec.dimensions),
        str(spec.max_tokens),
        ",".join(spec.languages) or "-",
        spec.licence or "-",
        state.runtime or "-",
        format_size(state.bytes) if state.runtime else "-",
        _render_state(state),
    )
    for files in state.explicit_only:
        yield "", "", "", "", "", files.runtime, format_size(files.bytes), _render_files(spec, files)


def _render_state(state: ModelState) -> str:
    text = _STATES.get(state.state, state.state)
    return f"{text}: {state.remedy}" if state.remedy else text


def _render_files(spec: ModelSpec, files: FilesState) -> str:
    from patina_hooks.models.files.weights import pull_command

    text = _STATES.get(files.state, files.state)
    return f"{text}: {pull_command(spec, files.runtime)}" if files.state == "pull" else text
