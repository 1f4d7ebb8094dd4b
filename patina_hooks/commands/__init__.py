"""The command line: one thin file a command, each opened when it is called.

Exit codes: 0 done, 1 expected failure, 2 usage, 3 a bug (with the log's place), 130 interrupted.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from io import TextIOWrapper
from typing import Literal, TextIO

import click

from patina_hooks.commands.stdout import own_stdout
from patina_hooks.errors import PatinaError, StateError
from patina_hooks.git.lock import announce_waits
from patina_hooks.system.telemetry import allow_network, stay_offline

# name -> (module:attribute, one line for --help). The text stands here so that --help opens nothing.
_COMMANDS = {
    "init": ("setup.init:init_command", "Make this repository remember: recipe, hooks, first sync."),
    "session": ("session:session_command", "Start, note, update and end work sessions."),
    "scry": ("scry:scry_command", "Ask the repository's memory a question."),
    "status": ("state.status:status_command", "What is indexed, what is pending, what is wrong."),
    "sync": ("state.sync:sync_command", "Bring the memory in line with the repository now."),
    "pairs": ("learning.pairs:pairs_command", "Show training pairs with their evidence."),
    "oxidize": ("learning.oxidize:oxidize_command", "Learn a projection from history; use it if it helps."),
    "eval": ("learning.eval:eval_command", "Measure the answers on this repository's own history."),
    "log": ("state.log:log_command", "What was recorded, newest first."),
    "doctor": ("setup.doctor:doctor_command", "Check everything; say what is wrong and what mends it."),
    "models": ("models:models_command", "List, download, verify, add and choose models."),
    "plugins": ("setup.plugins:plugins_command", "What is installed, what it provides, what is at fault."),
    "install": ("setup.install:install_command", "Install the git hooks."),
    "uninstall": ("setup.install:uninstall_command", "Remove the git hooks, exactly."),
    "gc": ("state.gc:gc_command", "Free what no live ref needs."),
    "check": ("setup.check:check_command", "Check what is staged (for a pre-commit hook)."),
    "hook": ("setup.hook:hook_command", "Tell the worker of a git event (for the pre-commit framework)."),
}


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
_SHUT = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ELOOP),
    errno.ENAMETOOLONG,
)
"""What a user's folder may answer; where a file is named, it is no bug of ours."""


class _ReaderGone(Exception):
    """Who reads stdout (head, less) has seen enough."""


@contextmanager
def _a_reader_may_go() -> Iterator[None]:
    # click ends the process with 1 at a broken pipe; that is no failure of ours.
    try:
        yield
    except BrokenPipeError as error:
        raise _ReaderGone from error


@contextmanager
def _a_damaged_log_is_named() -> Iterator[None]:
    """Say of what went wrong that the log holds what patina never wrote, where that is so."""
    try:
        yield
    except (PatinaError, OSError, click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except Exception as error:
        _blame_log(error)
        raise


def _blame_log(error: Exception) -> None:
    """Raise `LogDamaged` where the log of this repository is the cause."""
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


class _Commands(click.Group):
    """Built-in commands by name, then those of plugins."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: object
    ) -> click.Context:
        with _a_reader_may_go():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> object:
        with _a_reader_may_go():
            with _a_damaged_log_is_named():
                done = super().invoke(ctx)
            sys.stdout.flush()  # a plugin's command may have used print: what hinders it is told here
            return done

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*_COMMANDS, *_plugin_commands()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _COMMANDS:
            module, _, attribute = _COMMANDS[cmd_name][0].partition(":")
            command = getattr(import_module(f"{__name__}.{module}"), attribute)
            assert isinstance(command, click.Command)  # noqa: S101 (the table says so)
            return command
        from patina_hooks.commands.plugin_commands import open_command

        allow_network()  # what a plugin's command does, the user asked for by typing it
        return open_command(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from patina_hooks.commands.plugin_commands import missing_plugin

            raise missing_plugin(args[0]) or error from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, text) for name, (_, text) in _COMMANDS.items()] + sorted(_plugin_commands().items())
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _plugin_commands() -> dict[str, str]:
    from patina_hooks.commands.plugin_commands import plugin_commands

    return plugin_commands()


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="patina-hooks", prog_name="patina")
@click.pass_context
def patina(context: click.Context) -> None:
    """A repository that remembers."""
    if os.environ.get("NO_COLOR"):
        context.color = False


def run() -> None:
    """The `patina` script: `main`, and out without the interpreter's teardown.

    With a model open that takes 70 ms, a seventh of a cold question, and nothing of ours waits for it: files
    are closed where they were opened, and what is printed is flushed as it is.
    """
    try:
        main()
    except SystemExit as end:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code if isinstance(end.code, int) else 0)


def main() -> None:
    """Run, and turn every outcome into an exit code (as `SystemExit`) and a clear line."""
    _fill_streams()
    stay_offline()
    with own_stdout():
        _main()


def _main() -> None:
    try:
        with announce_waits(_say_line):
            code = patina.main(standalone_mode=False)
    except click.exceptions.Exit as error:
        code = error.exit_code
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        code = 130
    except _ReaderGone:
        _close_stdout()
        code = 0
    except PatinaError as error:
        code = _say(error)
    except OSError as error:
        code = _of_disk(error)
    except Exception as error:
        code = _report(error)
    sys.exit(code if isinstance(code, int) else 0)


def _fill_streams() -> None:
    """Where the caller has closed stdin, stdout or stderr (`>&-`), read and print nothing instead.

    Python has None for such a stream, and the next file that is opened would take its number.
    """
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(handle)
    sys.stdin = sys.stdin or _stream(0, "r")
    sys.stdout = sys.stdout or _stream(1, "w")
    sys.stderr = sys.stderr or _stream(2, "w")
    for stream in (sys.stdout, sys.stderr):
        # A terminal in Latin-1 has no place for most of what a repository may hold.
        if isinstance(stream, TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def _stream(number: int, mode: Literal["r", "w"]) -> TextIO:
    return open(number, mode, encoding="utf-8", errors="backslashreplace", closefd=False)


def _close_stdout() -> None:
    """Keep Python from complaining again, at exit, of what it could not write."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _of_disk(error: OSError) -> int:
    if error.errno in _FULL:
        return _say(_full(error))
    if error.errno == errno.ENOENT and error.filename is None and _is_folder_gone():
        return _say(StateError("the current folder does not exist any more", hint="cd .."))
    if error.errno == errno.ENOENT and "temporary directory" in str(error):
        why = "there is no folder for temporary files that can be written"
        return _say(StateError(why, hint='export TMPDIR="$HOME"'))
    if error.errno in _SHUT and error.filename is not None:
        return _say(_shut(error))
    return _report(error)


def _is_folder_gone() -> bool:
    from pathlib import Path

    try:
        Path.cwd()
    except FileNotFoundError:
        return True
    return False


def _shut(error: OSError) -> PatinaError:
    """A place that cannot be read or written as it is; the hint looks at what there is of it."""
    import shlex
    from pathlib import Path

    place = Path(str(error.filename))
    there = next((one for one in (place, *place.parents) if os.path.lexists(one)), place)
    return StateError(f"{place} cannot be used: {error.strerror}", hint=f"ls -ld {shlex.quote(str(there))}")


def _full(error: OSError) -> PatinaError:
    """A full or failing disk. Where no file is named, stdout leads to it."""
    if error.filename is None:
        _close_stdout()
    what = error.filename or "the output"
    return StateError(f"{what} cannot be written: {error.strerror}", hint="df -h")


def _say_line(message: str) -> None:
    click.echo(f"patina: {message}", err=True)


def _say(error: PatinaError) -> int:
    from patina_hooks.text.display import strip_controls

    click.echo(f"patina: {strip_controls(str(error))}", err=True)
    if error.hint:
        click.echo(f"  try: {strip_controls(error.hint)}", err=True)
    return error.exit_code


def _report(error: Exception) -> int:
    """A bug of ours: keep the traceback where the user can find it, and say where."""
    import tempfile
    import traceback

    from patina_hooks.config.configuration import load_user_redaction
    from patina_hooks.text.display import strip_controls

    # An error may quote what stands in the repository, and the file is there to be sent to others.
    redact = load_user_redaction().redact
    text = redact("".join(traceback.format_exception(error)))
    click.echo(
        strip_controls(f"patina: this is a bug: {redact(f'{type(error).__name__}: {error}')}"), err=True
    )
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="patina-", suffix=".log", delete=False, encoding="utf-8", errors="backslashreplace"
        ) as log:
            log.write(text)
    except OSError:  # no folder for temporary files
        click.echo(strip_controls(text), err=True)
    else:
        click.echo(f"  the traceback is in {log.name}", err=True)
    return 3
