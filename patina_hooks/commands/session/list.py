"""`patina session list`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from patina_hooks.commands.messages import say
from patina_hooks.commands.options import json_option, print_json
from patina_hooks.commands.session.shared import open_repository
from patina_hooks.text.display import clean_line, format_count

if TYPE_CHECKING:
    from patina_hooks.sessions import Summary


@click.command("list")
@click.option("--adapter", metavar="NAME", help="Only sessions of this assistant.")
@click.option(
    "-n", "limit", type=click.IntRange(min=1), metavar="N", help="Maximum number of sessions; default all."
)
@json_option
def list_command(adapter: str | None, limit: int | None, as_json: bool) -> None:
    """List sessions, newest first."""
    from patina_hooks import sessions

    repository = open_repository()
    summaries = sessions.list_sessions(repository, adapter=adapter, limit=limit)
    if as_json:
        print_json([asdict(summary) for summary in summaries], indented=True)
    elif summaries:
        click.echo(_render(summaries, str(repository.root)))
    elif adapter:
        say(f"no sessions of the adapter {clean_line(adapter)}", hint="patina session list")
    else:
        say("no sessions yet", hint='patina session start "..."')


def _render(summaries: Iterable[Summary], root: str) -> str:
    return "\n".join(_row(summary, root) for summary in summaries)


def _row(summary: Summary, root: str) -> str:
    facts = [summary.state if summary.state != "ended" else summary.work_type or "ended"]
    if summary.commits is not None:
        facts.append(format_count(summary.commits, "commit"))
    if summary.files is not None:
        facts.append(format_count(summary.files, "file"))
    if summary.state == "active" and summary.work_tree != root:
        facts.append(f"in {clean_line(summary.work_tree or 'an unknown work tree')}")
    title = clean_line(summary.title) or "(no title)"
    return f"{summary.id}  {clean_line(summary.adapter or '-'):<8}  {title}  [{', '.join(facts)}]"
