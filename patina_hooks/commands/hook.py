"""`patina hook EVENT`: what the pre-commit framework runs in place of our own hooks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import click


@click.command("hook", context_settings={"ignore_unknown_options": True})
@click.argument("event")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def hook_command(event: str, arguments: tuple[str, ...]) -> None:
    """Tell the worker of a git EVENT and come back at once.

    Never fails and never prints: git must not notice. `patina install` puts hooks in place that cost a
    tenth of this; here is what the pre-commit framework can run.
    """
    if not _off(os.environ):
        _notify(event, arguments)


def _notify(event: str, arguments: tuple[str, ...]) -> None:
    from patina_hooks.errors import PatinaError
    from patina_hooks.git import spool
    from patina_hooks.git.hooks import make_state
    from patina_hooks.git.repository import STATE_FOLDER
    from patina_hooks.worker import start_worker

    with suppress(PatinaError, OSError, ValueError):
        work_tree, common = _places(Path.cwd())
        state = common / STATE_FOLDER
        make_state(state)
        with suppress(OSError):  # a full disk: the worker looks at the refs all the same
            spool.append(state, spool.Event(event, arguments))
        start_worker(common, work_tree)


def _places(folder: Path) -> tuple[Path, Path]:
    """The work tree that encloses a folder, and its common dir, read off its files as the shell hook does.

    To ask git would cost twice the rest; the worker does ask, and goes away where the answer is another.
    Raises ValueError where there is none.
    """
    for work_tree in (folder, *folder.parents):
        git = work_tree / ".git"
        if git.is_file():  # of a linked work tree or a submodule
            git = work_tree / git.read_text().removeprefix("gitdir:").strip()
        if git.is_dir():
            shared = git / "commondir"
            return work_tree, (git / shared.read_text().strip() if shared.is_file() else git).resolve()
    raise ValueError(f"no git work tree at {folder}")


def _off(environment: Mapping[str, str]) -> bool:
    """The same switches as in the shell: PATINA_SKIP, CI, PATINA_CI."""
    ci = bool(environment.get("CI")) and environment.get("PATINA_CI") != "1"
    return ci or environment.get("PATINA_SKIP") == "1"
