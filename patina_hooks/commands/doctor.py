"""`patina doctor`."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from patina_hooks.commands.fresh import opened, say
from patina_hooks.commands.progress import show_progress
from patina_hooks.display import clean_line
from patina_hooks.doctor import Finding, examine
from patina_hooks.running_calls import running_calls, text_of

_MARKS = {"ok": ("ok", "green"), "warning": ("look", "yellow"), "fault": ("FAULT", "red")}


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="A list for programs.")
@click.pass_context
def doctor_command(context: click.Context, as_json: bool) -> None:
    """Check everything; say what is wrong and what mends it. Exits with 1 where something is at fault."""
    with opened() as patina, show_progress("checks"):
        # First, for a plugin that hangs would hang here too.
        for call in running_calls(patina.repository.state):
            say(f"waiting for {text_of(call)}; try: kill {call.process}")
        findings = examine(patina.repository, patina.plugins)
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings]))
    else:
        click.echo("\n".join(_line(finding) for finding in findings))
    if any(finding.level == "fault" for finding in findings):
        context.exit(1)


def _line(finding: Finding) -> str:
    mark, colour = _MARKS[finding.level]
    text = f"{click.style(f'{mark:<5}', fg=colour)} {finding.check:<10} {clean_line(finding.what)}"
    if finding.why:
        text += f"\n                 {clean_line(finding.why)}"
    return text + (f"\n                 mend with: {clean_line(finding.fix)}" if finding.fix else "")
