"""`patina check`: check staged files before a commit."""

from __future__ import annotations

import os
from pathlib import Path

import click


@click.command("check")
@click.pass_context
def check_command(context: click.Context) -> None:
    """Check staged files; print a line for each finding, and exit with 1 if there are any.

    Recipe and settings must be valid, session documents well formed, and local state of patina not staged.
    """
    # First, before other code drops it: `git commit -a` and `git commit PATH` use another index file.
    index = os.environ.get("GIT_INDEX_FILE")

    from patina_hooks.git.repository import Repository
    from patina_hooks.text.display import clean_line
    from patina_hooks.upkeep.check import check_staged

    findings = check_staged(Repository.open(Path.cwd()), index)
    for finding in findings:
        click.echo(clean_line(f"{finding.path}:{finding.line}: {finding.message}"))
    if findings:
        context.exit(1)
