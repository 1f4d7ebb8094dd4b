"""`patina oxidize`: train projections on the repository's history, and use one that helps."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from patina_hooks.commands.freshness import freshen, open_patina
from patina_hooks.commands.messages import say
from patina_hooks.commands.options import json_option, picture_option, print_json, write_picture
from patina_hooks.errors import StateError, UsageError
from patina_hooks.system.progress import show_progress

if TYPE_CHECKING:
    from patina_hooks.api import Patina
    from patina_hooks.specs.reports import Report
    from patina_hooks.specs.training import TrainingStep
    from patina_hooks.system.progress import ProgressCallback


@click.command("oxidize")
@click.option("--full", is_flag=True, help="Train every projection again.")
@click.option("--only", "names", metavar="NAME", multiple=True, help="Only this one (may be repeated).")
@click.option("--force", is_flag=True, help="Use the best projection even if the gate refuses it.")
@click.option("--raw", is_flag=True, help="Use the raw model again; train nothing.")
@click.option("--dry-run", is_flag=True, help="List stale projections and their cost; change nothing.")
@click.option("--report", "last", is_flag=True, help="Show the last run again; train nothing.")
@picture_option
@json_option
def oxidize_command(
    names: tuple[str, ...], full: bool, force: bool, raw: bool, dry_run: bool, last: bool,
    picture: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Train projections on this repository's history; use one only if it helps on later history."""
    if raw and (dry_run or last or full or names or force or picture or as_json):
        raise UsageError("--raw cannot be combined with other options", hint="patina oxidize --raw")
    if dry_run and (last or force or picture):
        raise UsageError("--dry-run can be combined only with --full, --only and --json")
    if last and (full or names or force):
        raise UsageError("--report trains nothing", hint="patina oxidize --report")
    if names and not (names := tuple(name for listed in names for name in listed.split(",") if name)):
        raise UsageError("--only names no projection")
    with open_patina() as patina:
        freshen(patina)
        if raw:
            _use_raw(patina)
            return
        if dry_run:
            _print_plan(patina, full, names, as_json)
            return
        report = _last_report(patina) if last else _train(patina, full, names, force)
    _print_report(report, as_json, picture)


def _use_raw(patina: Patina) -> None:
    from patina_hooks.training.oxidize import use_raw

    if report := use_raw(patina):
        _write_lock(patina, report)
    click.echo("The raw model answers.")


def _print_plan(patina: Patina, full: bool, names: tuple[str, ...], as_json: bool) -> None:
    from patina_hooks.commands.learning import oxidize_page, report_json
    from patina_hooks.training.oxidize import plan_run

    run_plan = plan_run(patina, full=full, only=names)
    if as_json:
        print_json(report_json.plan_object(run_plan))
    else:
        click.echo("\n".join(oxidize_page.plan_lines(run_plan)))


def _train(patina: Patina, full: bool, names: tuple[str, ...], force: bool) -> Report:
    from patina_hooks.training.oxidize import oxidize

    with show_progress("training") as progress:
        on_step = partial(_show_step, progress)
        report = oxidize(patina, full=full, only=names, force=force, progress=progress, on_step=on_step)
    _write_lock(patina, report)
    return report


def _print_report(report: Report, as_json: bool, picture: Path | None) -> None:
    from patina_hooks.commands.learning import oxidize_page, report_json

    if as_json:
        print_json(report_json.as_object(report))
    else:
        click.echo("\n".join(oxidize_page.report_lines(report)))
    if picture:
        from patina_hooks.training.reports.report_chart import render_report

        write_picture(picture, render_report(report))


def _write_lock(patina: Patina, report: Report) -> None:
    from patina_hooks.training.reports.lock import LOCK_FILE, write_lock

    try:
        write_lock(patina.repository.root, report)
    except OSError as error:
        say(f"cannot write {LOCK_FILE}: {error.strerror}")


def _last_report(patina: Patina) -> Report:
    from patina_hooks.training.reports.report import last_report

    if report := last_report(patina.repository.state):
        return report
    raise StateError("no training run yet", hint="patina oxidize")


def _show_step(show: ProgressCallback, name: str, step: TrainingStep) -> None:
    later = f", later pairs {step.held_loss:.3f}" if step.held_loss is not None else ""
    show(f"training {name[:20]}", step.epoch, step.epochs, f"loss {step.loss:.3f}{later}")
