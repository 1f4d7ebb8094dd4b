"""`patina install` and `patina uninstall`: the git hooks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from patina_hooks.git.hooks import Installation

_WAYS = {
    "config": "in the repository's configuration",
    "whole": "a hook of its own",
    "block": "in the hook that was there",
    "wrapper": "before the hook that was there",
    "line": "one line in a file of the work tree",
    "by hand": "by your hand",
    "absent": "not installed",
}


@click.command("install")
def install_command() -> None:
    """Install the git hooks. Doing it again changes nothing.

    Hooks that are there go on as before. PATINA_SKIP=1 in the environment silences ours for one
    command; they are off where CI is set, unless PATINA_CI=1.
    """
    from patina_hooks.git.hooks import install
    from patina_hooks.git.repository import Repository

    for line in installed(install(Repository.open(Path.cwd()))):
        click.echo(line)


@click.command("uninstall")
def uninstall_command() -> None:
    """Remove the git hooks and put back what was there. What was remembered stays."""
    from patina_hooks.git.hooks import inspect_hooks, uninstall
    from patina_hooks.git.repository import Repository
    from patina_hooks.text.display import strip_controls
    from patina_hooks.text.session_ids import HIDDEN_REFS, SESSIONS_FOLDER

    repository = Repository.open(Path.cwd())
    before = inspect_hooks(repository)
    left = list(_left(uninstall(repository)))
    for line in left:
        click.echo(strip_controls(line))
    if lines := [before.script(hook.event) for hook in before.hooks if hook.method == "line"]:
        click.echo(
            "Commit that the line is removed from these files, or keep it for others: git restore FILE"
        )
        click.echo("\n".join(strip_controls(f"  {path}") for path in lines))
    if not left:
        click.echo("The hooks are removed.")
    click.echo(
        strip_controls(f"What was remembered stays in {repository.state}; remove that folder to forget it.")
    )
    click.echo(
        strip_controls(
            f"Sessions stay: documents, tags, {repository.common / SESSIONS_FOLDER} and {HIDDEN_REFS}/."
        )
    )


def _left(installation: Installation) -> Iterator[str]:
    """What only the user can remove, line by line: their own line, or a block that lost its end."""
    from patina_hooks.git.stub import manual_line

    for hook in installation.hooks:
        if hook.method == "by hand" and hook.enabled:
            place = installation.script(hook.event)
            yield f"{hook.event:16}{_WAYS[hook.method]} still; take this line out of {place}:"
            yield f"  {manual_line(hook.event)}"
        elif hook.method not in ("absent", "by hand"):
            yield f"{hook.event:16}{_WAYS[hook.method]} still; its end mark is gone, remove it by hand"


def installed(installation: Installation) -> Iterator[str]:
    """What `install` did, line by line."""
    from patina_hooks.git.stub import manual_line
    from patina_hooks.text.display import strip_controls

    for hook in installation.hooks:
        yield strip_controls(f"{hook.event:16}{_WAYS[hook.method]}{f' ({hook.note})' if hook.note else ''}")
    lines = [installation.script(hook.event) for hook in installation.hooks if hook.method == "line"]
    if lines:
        yield ""
        yield "Commit these files, which git tracks or would track; their line names nothing of this machine"
        yield "and does nothing where patina is not installed:"
        yield from (strip_controls(f"  {path}") for path in lines)
    missing = [hook for hook in installation.hooks if hook.method == "by hand" and not hook.enabled]
    if missing:
        yield ""
        yield "Add the line to each of these hooks, near the top; it names nothing of this machine:"
    for hook in missing:
        yield strip_controls(f"  {installation.script(hook.event)}:")
        yield f"    {manual_line(hook.event)}"
