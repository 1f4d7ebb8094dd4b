"""Messages on stderr, safe for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from patina_hooks.text.display import strip_controls

if TYPE_CHECKING:
    from patina_hooks.specs.plugins import RecordedError


def say(message: str, *, hint: str = "") -> None:
    """Print a message, and the command to try, on stderr."""
    click.echo(f"patina: {strip_controls(message)}", err=True)
    if hint:
        click.echo(f"  try: {strip_controls(hint)}", err=True)


def say_fault(fault: RecordedError) -> None:
    """Print the error of a plugin, and the command to try, on stderr."""
    say(f"{fault.plugin}: {fault.where}: {fault.error}", hint=fault.hint)
