"""`patina models verify`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from patina_hooks.commands.models.lookup import load_plugins
from patina_hooks.commands.options import json_option, print_json
from patina_hooks.errors import ModelError
from patina_hooks.system.progress import show_progress
from patina_hooks.text.display import clean_line, format_count

if TYPE_CHECKING:
    from patina_hooks.models.files.verification import FileCheck


@click.command("verify")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@json_option
def verify_command(names: tuple[str, ...], as_json: bool) -> None:
    """Compare the hashes of model files: of all that are present, or of the named models."""
    from patina_hooks.models.files.verification import check_files

    plugins = load_plugins()
    specs = [plugins.model(name) for name in names] or plugins.models()
    with show_progress("verification"):
        checks = list(check_files(specs, absent_too=bool(names)))
    if as_json:
        print_json([asdict(check) for check in checks], indented=True)
    else:
        click.echo(_render(checks))
    if errors := [check for check in checks if check.error]:
        message = f"cannot use {format_count(len(errors), 'file')} of {len(checks)}"
        raise ModelError(message, hint=errors[0].hint)


def _render(checks: Iterable[FileCheck]) -> str:
    return "\n".join(clean_line(check.error or f"{check.path}: {check.state}") for check in checks)
