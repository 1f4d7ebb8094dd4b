"""`patina check`: what is staged, before it is committed."""

from __future__ import annotations

import os
from pathlib import Path

import click


@click.command("check")
@click.pass_context
def check_command(context: click.Context) -> None:
    """Check what is staged; one line for each finding, exit code 1 where there is one.

    Recipe and settings are valid, session documents are well formed, no local state of patina is staged.
    """
    # Before anything else drops it: during `git commit -a` or `git commit PATH` the index is another file.
    index = os.environ.get("GIT_INDEX_FILE")

    from patina_hooks.git.repository import Repository
    from patina_hooks.text.display import clean_line
    from patina_hooks.upkeep.check import check_staged

    findings = check_staged(Repository.open(Path.cwd()), index)
    for finding in findings:
        click.echo(clean_line(f"{finding.path}:{finding.line}: {finding.message}"))
    if findings:
        context.exit(1)
