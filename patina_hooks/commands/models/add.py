"""`patina models add`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from patina_hooks.commands.models.lookup import load_plugins, model_state
from patina_hooks.commands.options import json_option, print_json

if TYPE_CHECKING:
    from patina_hooks.specs.models import Pooling


@click.command("add")
@click.option(
    "--from-folder", "folder", required=True, metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with config.json, weights and tokenizer; they stay there.",
)  # fmt: skip
@click.option("--name", help="Name of the model in recipes; default the folder's name.")
@click.option(
    "--pooling", type=click.Choice(["mean", "cls", "last"]), help="Pooling if the folder states none."
)
@json_option
def add_command(folder: Path, name: str | None, pooling: Pooling | None, as_json: bool) -> None:
    """Add a model of your own to models.toml, described by the files of its folder."""
    from patina_hooks.models.catalog.entry import add_model, as_toml, refuse_name
    from patina_hooks.models.catalog.registry import as_details
    from patina_hooks.models.files.folder import describe_folder

    name = name or folder.resolve().name.lower()
    refuse_name(load_plugins(), name, "--name")
    spec = describe_folder(folder, name, pooling)
    path = add_model(spec)
    if as_json:
        details = as_details(model_state(f"patina-hooks/{spec.name}"))
        print_json({**details, "file": str(path)}, indented=True)
    else:
        click.echo(as_toml(spec), nl=False)
        click.echo(f"written to {path}; a recipe can now name it", err=True)
