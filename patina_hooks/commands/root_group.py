"""The group of all commands: built-in ones by name, then those of plugins."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from patina_hooks.commands.lazy_group import LazyGroup
from patina_hooks.errors import PatinaError, StateError
from patina_hooks.system.telemetry import allow_network


class StdoutClosed(Exception):
    """The reader of stdout (head, less) has closed it."""


class RootGroup(LazyGroup):
    """Built-in commands by name, then those of plugins."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: object
    ) -> click.Context:
        with _broken_pipe_named():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> object:
        with _broken_pipe_named():
            with _damaged_log_named():
                value = super().invoke(ctx)
            sys.stdout.flush()  # a plugin's command may have used print: its errors are reported here
            return value

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *_plugin_commands()]

    def list_help(self) -> list[tuple[str, str]]:
        """Return name and line of help of each command, those of plugins last."""
        return [*super().list_help(), *sorted(_plugin_commands().items())]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if command := super().get_command(ctx, cmd_name):
            return command
        from patina_hooks.commands.plugin_commands import open_command

        allow_network()  # the user asked for what a plugin's command does by typing it
        return open_command(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from patina_hooks.commands.plugin_commands import missing_plugin

            raise missing_plugin(args[0]) or error from None


def _plugin_commands() -> dict[str, str]:
    from patina_hooks.commands.plugin_commands import plugin_commands

    return plugin_commands()


@contextmanager
def _broken_pipe_named() -> Iterator[None]:
    # click exits with 1 at a broken pipe; for patina it is not a failure.
    try:
        yield
    except BrokenPipeError as error:
        raise StdoutClosed from error


@contextmanager
def _damaged_log_named() -> Iterator[None]:
    """Raise `LogDamaged` for an error that a damaged log causes."""
    try:
        yield
    except (PatinaError, OSError, click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except Exception as error:
        _raise_if_damaged(error)
        raise


def _raise_if_damaged(error: Exception) -> None:
    from pathlib import Path

    from patina_hooks.errors import LogDamaged
    from patina_hooks.git.discovery import find_work_tree
    from patina_hooks.git.repository import STATE_FOLDER
    from patina_hooks.store.log import Log

    try:
        state = find_work_tree(Path.cwd())[1] / STATE_FOLDER
        with Log(state, create=False) as log:
            log.explain(error)
    except LogDamaged:
        raise
    except (OSError, ValueError, StateError):
        return
