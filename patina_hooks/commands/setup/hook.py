"""`patina hook EVENT`: run by the pre-commit framework in place of the git hooks of patina."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import click


@click.command("hook", context_settings={"ignore_unknown_options": True})
@click.argument("event")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def hook_command(event: str, arguments: tuple[str, ...]) -> None:
    """Record a git EVENT for the worker and return at once.

    Never fails and never prints. It is for the pre-commit framework; the hooks of `patina install` cost a
    tenth of it.
    """
    from patina_hooks.upkeep.worker import is_switched_off

    if not is_switched_off(os.environ):
        _notify(event, arguments)


def _notify(event: str, arguments: tuple[str, ...]) -> None:
    from patina_hooks.errors import PatinaError
    from patina_hooks.git import spool
    from patina_hooks.git.discovery import find_work_tree
    from patina_hooks.git.repository import STATE_FOLDER
    from patina_hooks.system.files import make_private
    from patina_hooks.upkeep.worker import start_worker

    with suppress(PatinaError, OSError, ValueError):
        work_tree, common = find_work_tree(Path.cwd())
        state = common / STATE_FOLDER
        make_private(state)
        with suppress(OSError):  # a full disk: the worker reads the refs anyway
            spool.append_event(state, spool.SpoolEvent(event, arguments))
        start_worker(common, work_tree)
