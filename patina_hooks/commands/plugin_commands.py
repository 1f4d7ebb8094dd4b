"""Commands of plugins: opened when they are called, their failures named."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import click

from patina_hooks.commands.stdout import lent_stdout
from patina_hooks.errors import PatinaError, PluginError
from patina_hooks.plugins.calls import failure_of
from patina_hooks.plugins.installation import install_command, providers_of
from patina_hooks.plugins.kinds import COMMANDS, describe_type
from patina_hooks.plugins.manager import Plugins, open_function

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def plugin_commands() -> dict[str, str]:
    """Return the plugins' commands by name, each with its help."""
    return {spec.name: str(spec.help) for spec in Plugins.load().commands()}


def open_command(name: str) -> click.Command | None:
    """Open a plugin's command, None where there is none of that name.

    Raises:
        PluginError: the plugin's code cannot be imported, or gives no click command.
    """
    plugins = Plugins.load()
    for spec in plugins.commands():
        plugin = plugins.owner(COMMANDS, spec.name)
        if name in (spec.name, f"{plugin}/{spec.name}"):
            return _open(plugin, name, spec.command)
    return None


def missing_plugin(name: str) -> PluginError | None:
    """Name the package of this project that provides a command, None for an unknown name."""
    packages = providers_of(COMMANDS.noun, name)
    if not packages:
        return None
    plugins = Plugins.load()
    plugins.commands()  # a plugin may fail here
    failed = {fault.plugin for fault in plugins.faults}.intersection(packages)
    hint = "patina plugins" if failed else install_command(*packages)
    state = "which has errors" if failed else "which is not installed here"
    return PluginError(f"cannot run {name}: it needs the plugin {', '.join(packages)}, {state}", hint=hint)


def _open(plugin: str, name: str, reference: str) -> click.Command:
    failed = f"plugin {plugin}: cannot open the command {name}"
    try:
        command = open_function(plugin, f"command {name}", reference).function
    except PluginError as error:
        raise PluginError(f"{failed}: {error}", hint="patina plugins", plugin=plugin) from error
    if not isinstance(command, click.Command):
        problem = f"{reference} is {describe_type(command)}, not a click.Command"
        raise PluginError(f"{failed}: {problem}", hint="patina plugins", plugin=plugin)
    return _Guarded(command, plugin, name, reference.partition(":")[0])


class _Guarded(click.Command):
    """A plugin's command: it has stdout, and its failures are named as those of the plugin."""

    def __init__(self, command: click.Command, plugin: str, name: str, module: str) -> None:
        super().__init__(name, help=command.help, short_help=command.short_help, hidden=command.hidden)
        self._command, self._plugin, self._module = command, plugin, module

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: object
    ) -> click.Context:
        with lent_stdout(), self._named():
            context = self._command.make_context(info_name, args, parent, **extra)
        context.command = self  # the group invokes the context's command
        return context

    def invoke(self, ctx: click.Context) -> object:
        ctx.command = self._command
        with lent_stdout(), self._named():
            return self._command.invoke(ctx)

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except (click.ClickException, click.exceptions.Exit, click.Abort, PatinaError, BrokenPipeError):
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.filename is None and error.errno in _FULL:
                raise  # stdout leads to a full disk
            problem = failure_of(error, self._module)
            raise PluginError(
                f"plugin {self._plugin}: the command {self.name} failed: {problem}",
                hint="patina plugins",
            ) from error
