"""`patina install` and `patina uninstall`: the git hooks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from patina_hooks.git.hooks import Installation

_METHODS = {
    "config": "in the repository's configuration",
    "whole": "installed",
    "block": "added to the existing hook",
    "wrapper": "runs before the existing hook",
    "line": "one line in a file of the work tree",
    "by hand": "added by you",
    "absent": "not installed",
}


@click.command("install")
def install_command() -> None:
    """Install the git hooks. Running it again changes nothing.

    Existing hooks keep working. PATINA_SKIP=1 in the environment disables the hooks of patina for a command;
    they are disabled if CI is set, unless PATINA_CI=1.
    """
    from patina_hooks.git.hooks import install
    from patina_hooks.git.repository import Repository

    for line in render_installed(install(Repository.open(Path.cwd()))):
        click.echo(line)


@click.command("uninstall")
def uninstall_command() -> None:
    """Remove the git hooks and restore those that existed before. The index is kept."""
    from patina_hooks.git.hooks import inspect_hooks, uninstall
    from patina_hooks.git.repository import Repository
    from patina_hooks.text.display import strip_controls
    from patina_hooks.text.session_ids import HIDDEN_REFS, SESSIONS_FOLDER

    repository = Repository.open(Path.cwd())
    before = inspect_hooks(repository)
    remaining = list(_render_remaining(uninstall(repository)))
    for line in remaining:
        click.echo(strip_controls(line))
    if lines := [before.script(hook.event) for hook in before.hooks if hook.method == "line"]:
        click.echo(
            "Commit the removal of the line from these files, or keep the line for others: git restore FILE"
        )
        click.echo("\n".join(strip_controls(f"  {path}") for path in lines))
    if not remaining:
        click.echo("hooks removed")
    click.echo(strip_controls(f"The index stays in {repository.state}; delete that folder to remove it."))
    click.echo(
        strip_controls(
            f"Sessions stay: documents, tags, {repository.common / SESSIONS_FOLDER} and {HIDDEN_REFS}/."
        )
    )


def _render_remaining(installation: Installation) -> Iterator[str]:
    """Yield what only the user can remove: their own line, or a block without its end mark."""
    from patina_hooks.git.stub import manual_line

    for hook in installation.hooks:
        if hook.method == "by hand" and hook.enabled:
            path = installation.script(hook.event)
            yield f"{hook.event:16}remove this line from {path}:"
            yield f"  {manual_line(hook.event)}"
        elif hook.method not in ("absent", "by hand"):
            yield f"{hook.event:16}cannot remove the block: its end mark is missing; edit the hook"


def render_installed(installation: Installation) -> Iterator[str]:
    """Yield how each hook was installed, and what the user still has to do."""
    from patina_hooks.git.stub import manual_line
    from patina_hooks.text.display import strip_controls

    for hook in installation.hooks:
        note = f" ({hook.note})" if hook.note else ""
        yield strip_controls(f"{hook.event:16}{_METHODS[hook.method]}{note}")
    lines = [installation.script(hook.event) for hook in installation.hooks if hook.method == "line"]
    if lines:
        yield ""
        yield "Commit these files, which are not ignored by git; their line names nothing of this machine"
        yield "and has no effect where patina is not installed:"
        yield from (strip_controls(f"  {path}") for path in lines)
    missing = [hook for hook in installation.hooks if hook.method == "by hand" and not hook.enabled]
    if missing:
        yield ""
        yield "Add the line to each of these hooks, near the top; it names nothing of this machine:"
    for hook in missing:
        yield strip_controls(f"  {installation.script(hook.event)}:")
        yield f"    {manual_line(hook.event)}"
