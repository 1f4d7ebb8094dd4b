"""`patina models remove`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from patina_hooks.commands.models.lookup import load_plugins
from patina_hooks.commands.options import json_option, print_json
from patina_hooks.errors import ModelError
from patina_hooks.text.display import format_size

if TYPE_CHECKING:
    from patina_hooks.specs.models import HubFile, ModelSpec


@click.command("remove")
@click.argument("name")
@json_option
def remove_command(name: str, as_json: bool) -> None:
    """Delete the files that were pulled for a model, but not those that another model uses.

    Files that were in the hub cache before the pull stay there.
    """
    from patina_hooks.models.files.pull import remove_files

    plugins = load_plugins()
    spec = plugins.model(name)
    files = _hub_files([spec])
    if not files:
        raise ModelError(
            f"cannot remove {spec.name}: its files are those of a package, or your own",
            hint="pip uninstall the package, or delete its table in models.toml",
        )
    shared = _hub_files([model for model in plugins.models() if model != spec])
    freed = remove_files(sorted(files - shared, key=lambda file: (file.repository, file.path)))
    if as_json:
        print_json({"model": spec.name, "bytes": freed})
    else:
        click.echo(f"freed {format_size(freed)}")


def _hub_files(specs: list[ModelSpec]) -> set[HubFile]:
    from patina_hooks.models.files.pull import hub_files

    return {file for spec in specs for runtime in spec.runtimes for file in hub_files(spec, runtime)}
