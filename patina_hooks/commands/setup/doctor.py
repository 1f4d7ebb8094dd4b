"""`patina doctor`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from typing import Final, TextIO

import click

from patina_hooks.commands.freshness import open_patina
from patina_hooks.commands.messages import say
from patina_hooks.commands.options import json_option, print_json
from patina_hooks.commands.stdout import take_stdout
from patina_hooks.plugins.calls import PluginCall, limited_calls
from patina_hooks.plugins.running_calls import describe_call, running_calls
from patina_hooks.system.progress import show_progress
from patina_hooks.text.display import clean_line
from patina_hooks.upkeep.doctor import Finding, run_checks

_MARKS: Final = {"ok": ("ok", "green"), "warning": ("warn", "yellow"), "fault": ("ERROR", "red")}


@click.command("doctor")
@json_option
@click.pass_context
def doctor_command(context: click.Context, as_json: bool) -> None:
    """Check the installation and suggest fixes. Exits with 1 if there are errors."""
    findings: list[Finding] = []
    give_up = partial(_give_up, sys.stdout, findings, as_json)
    with limited_calls(give_up), open_patina() as patina, show_progress("checks"):
        # First: a plugin that hangs would hang in the checks too.
        for call in running_calls(patina.repository.state):
            say(f"waiting for {describe_call(call)}", hint=f"kill {call.process}")
        findings.extend(run_checks(patina.repository, patina.plugins))
    _print(findings, as_json)
    if any(finding.level == "fault" for finding in findings):
        context.exit(1)


def _print(findings: Sequence[Finding], as_json: bool, stdout: TextIO | None = None) -> None:
    if as_json:
        print_json([asdict(finding) for finding in findings], file=stdout)
    else:
        click.echo("\n".join(_render(finding) for finding in findings), file=stdout)


def _give_up(stdout: TextIO, findings: Sequence[Finding], as_json: bool, call: PluginCall) -> None:
    """Print the findings so far, and exit: a plugin does not return."""
    finding = Finding(
        "plugins",
        "fault",
        f"plugin {call.plugin} ({call.action}) did not return within {call.limit:g} s",
        "the remaining checks were not run",
        f"PATINA_DISABLE_PLUGINS={call.plugin} patina doctor",
    )
    take_stdout(stdout)
    with suppress(OSError, ValueError):
        _print([*findings, finding], as_json, stdout)
        stdout.flush()
    os._exit(1)


def _render(finding: Finding) -> str:
    mark, colour = _MARKS[finding.level]
    text = f"{click.style(f'{mark:<5}', fg=colour)} {finding.check:<10} {clean_line(finding.what)}"
    if finding.why:
        text += f"\n                 {clean_line(finding.why)}"
    return text + (f"\n                 try: {clean_line(finding.fix)}" if finding.fix else "")
