"""A group of commands that opens no module before its command is called."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called.

    Args:
        table: name of a command -> ("module:attribute", its line of help), where the module is one below
            `patina_hooks.commands`. The line stands in the table so that `--help` imports no command.
    """

    def __init__(self, *, table: Mapping[str, tuple[str, str]], **settings: Any) -> None:  # noqa: ANN401 (of click)
        super().__init__(**settings)
        self._table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._table:
            return None
        module, _, attribute = self._table[cmd_name][0].partition(":")
        command = getattr(import_module(f"{__package__}.{module}"), attribute)
        assert isinstance(command, click.Command)  # noqa: S101 (the table names nothing else)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(self.list_help())

    def list_help(self) -> list[tuple[str, str]]:
        """Return name and line of help of each command."""
        return [(name, text) for name, (_, text) in self._table.items()]
