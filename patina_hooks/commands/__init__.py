"""The command line: each command is a module that is imported when it is called.

Exit codes: 0 done, 1 expected failure, 2 usage, 3 a bug (with the path of the traceback), 130 interrupted.
"""

from __future__ import annotations

import gc
import os
import sys
from typing import Final

import click

from patina_hooks.commands.root_group import RootGroup, StdoutClosed
from patina_hooks.commands.stdout import own_stdout
from patina_hooks.commands.streams import close_stdout, fill_streams
from patina_hooks.git.lock import announce_waits
from patina_hooks.system.telemetry import stay_offline

_COMMANDS: Final = {
    "init": ("setup.init:init_command", "Set up this repository: recipe, git hooks and first sync."),
    "session": ("session:session_command", "Start, note, update and end work sessions."),
    "scry": ("search.scry:scry_command", "Search the repository's history and documentation."),
    "status": ("state.status:status_command", "Show what is indexed, what is pending, and errors."),
    "sync": ("state.sync:sync_command", "Update the index from the repository."),
    "pairs": ("learning.pairs:pairs_command", "List training pairs with their evidence."),
    "oxidize": ("learning.oxidize:oxidize_command", "Train projections on history; use one if it helps."),
    "eval": ("learning.eval:eval_command", "Evaluate search on this repository's own history."),
    "log": ("state.log:log_command", "List recorded events, newest first."),
    "doctor": ("setup.doctor:doctor_command", "Check the installation and suggest fixes."),
    "models": ("models:models_command", "List, download, verify, add and choose models."),
    "plugins": ("setup.plugins:plugins_command", "List installed plugins, what they provide, and errors."),
    "install": ("setup.install:install_command", "Install the git hooks."),
    "uninstall": ("setup.install:uninstall_command", "Remove the git hooks."),
    "gc": ("state.gc:gc_command", "Remove data that no branch or tag references."),
    "check": ("setup.check:check_command", "Check staged files (for a pre-commit hook)."),
    "hook": ("setup.hook:hook_command", "Record a git event (for the pre-commit framework)."),
}
_INTERRUPTED: Final = 130
_COLLECT_AFTER: Final = 50_000
"""New objects after which Python looks for garbage; its default is 700 to 10,000."""


@click.group(
    cls=RootGroup,
    table=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="patina-hooks", prog_name="patina")
@click.pass_context
def patina(context: click.Context) -> None:
    """Search what a repository remembers: its commits, sessions and documentation."""
    if os.environ.get("NO_COLOR"):
        context.color = False


def run() -> None:
    """Run `main` as the `patina` script does: with few collections, and without the interpreter's teardown.

    Imports create many objects and hardly any garbage: to collect it takes a twentieth of a cold question.

    With an open model the teardown takes 70 ms, a seventh of a cold question, and has nothing to do: files
    are closed where they were opened, and output is flushed.
    """
    gc.set_threshold(_COLLECT_AFTER)
    try:
        main()
    except SystemExit as end:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code if isinstance(end.code, int) else 0)


def main() -> None:
    """Run a command, and turn every outcome into a message and an exit code (as `SystemExit`)."""
    fill_streams()
    stay_offline()
    with own_stdout():
        sys.exit(_call())


def _call() -> int:
    try:
        with announce_waits(_say_wait):
            code = patina.main(standalone_mode=False)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return _INTERRUPTED
    except StdoutClosed:
        close_stdout()
        return 0
    except Exception as error:
        from patina_hooks.commands.failures import report

        return report(error)
    return code if isinstance(code, int) else 0


def _say_wait(message: str) -> None:
    click.echo(f"patina: {message}", err=True)
