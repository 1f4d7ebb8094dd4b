"""`patina oxidize`: learn from this repository's history, and use what helps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from patina_hooks.commands.freshness import freshen, open_patina
from patina_hooks.commands.messages import say
from patina_hooks.errors import StateError, UsageError
from patina_hooks.system.progress import show_progress
from patina_hooks.text.display import clean_line, format_count

if TYPE_CHECKING:
    from patina_hooks.api import Patina
    from patina_hooks.specs.reports import Outcome, Report
    from patina_hooks.specs.training import TrainingStep
    from patina_hooks.system.progress import ProgressCallback
    from patina_hooks.training.oxidize import RunPlan


@click.command("oxidize")
@click.option("--full", is_flag=True, help="Train everything anew.")
@click.option("--only", "names", metavar="NAME", multiple=True, help="Only this one (may be repeated).")
@click.option("--force", is_flag=True, help="Use the best one even if the gate refuses it.")
@click.option("--raw", is_flag=True, help="Have the raw model answer again; train nothing.")
@click.option("--dry-run", is_flag=True, help="Say what is stale and what it would take; do nothing.")
@click.option("--report", "show", is_flag=True, help="Show the last run again; train nothing.")
@click.option("--picture", type=click.Path(path_type=Path), metavar="FILE", help="Draw the report (SVG).")
@click.option("--json", "as_json", is_flag=True, help="One object for programs.")
def oxidize_command(
    names: tuple[str, ...],
    full: bool,
    force: bool,
    raw: bool,
    dry_run: bool,
    show: bool,
    picture: Path | None,
    as_json: bool,
) -> None:
    """Train projections on this repository's history; one is used only if it helps on later history."""
    # numpy, and all that trains.
    from patina_hooks.training.oxidize import oxidize, plan_run, use_raw

    if raw and (dry_run or show or full or names or force or picture or as_json):
        raise UsageError("--raw goes with no other option", hint="patina oxidize --raw")
    if dry_run and (show or force or picture):
        raise UsageError("--dry-run goes with --full, --only and --json alone")
    if show and (full or names or force):
        raise UsageError("--report trains nothing", hint="patina oxidize --report")
    if names and not (names := tuple(name for listed in names for name in listed.split(",") if name)):
        raise UsageError("--only names no projection")
    with open_patina() as patina:
        freshen(patina)
        if raw:
            report_of_raw = use_raw(patina)
            if report_of_raw is not None:
                _keep_lock(patina, report_of_raw)
            click.echo("The raw model answers.")
            return
        if dry_run:
            found = plan_run(patina, full=full, only=names)
            click.echo(json.dumps(_outlook_as_json(found)) if as_json else _outlook_page(found))
            return
        if show:
            report = _last(patina.repository.state)
        else:
            with show_progress("training") as progress:
                on_step = partial(_show_step, progress)
                report = oxidize(
                    patina, full=full, only=names, force=force, progress=progress, on_step=on_step
                )
            _keep_lock(patina, report)
    click.echo(json.dumps(as_object(report)) if as_json else _page(report))
    if picture:
        _draw(report, picture)


def _keep_lock(patina: Patina, report: Report) -> None:
    from patina_hooks.training.reports.lock import LOCK_FILE, write_lock

    try:
        write_lock(patina.repository.root, report)
    except OSError as error:
        say(f"{LOCK_FILE} could not be written: {error.strerror}")


def as_object(report: Report) -> dict[str, object]:
    """The object that `--json` prints; docs/json.md has the keys."""
    from dataclasses import asdict

    from patina_hooks.training.reports.lock import lock_of

    told = asdict(report)
    told["projections"] = {one.name: _outcome_as_json(one, report) for one in report.outcomes}
    told["lock"] = lock_of(report)
    del told["outcomes"]
    return told


def _outcome_as_json(one: Outcome, report: Report) -> dict[str, object]:
    from dataclasses import asdict

    told = asdict(one)
    del told["name"], told["gain"]
    gain = one.gain
    return {
        "kind": told.pop("kind"),
        "active": report.uses(one),
        "delta": gain.value if gain else None,
        "low": gain.low if gain else None,
        "high": gain.high if gain else None,
        "n": gain.n if gain else 0,
        **told,
    }


def _last(state: Path) -> Report:
    from patina_hooks.training.reports.report import last_report

    report = last_report(state)
    if report is None:
        raise StateError("nothing was trained here yet", hint="patina oxidize")
    return report


# --- for eyes ---------------------------------------------------------------------------------------


def _page(report: Report) -> str:
    sets = list(report.raw)
    lines = []
    if sets:
        width = max(len(name) for name in ["projection", *(one.name for one in report.outcomes)])
        head = "".join(f"  {name:>14}" for name in sets)
        lines.append(click.style(f"{'MRR@10':<{width}}{head}  against raw", bold=True))
        lines.append(f"{'raw':<{width}}" + "".join(f"  {report.raw[name].value:>14.3f}" for name in sets))
        lines += [_row(one, sets, width, report) for one in report.outcomes]
        if report.former:
            lines.append(_row(report.former, sets, width, report, "  (in use before)"))
        asked = "".join(f"  {report.raw[name].n:>14,}" for name in sets)
        lines += [f"{'questions':<{width}}{asked}", ""]
    for one in report.outcomes:
        lines += _trained(one)
    lines.append("")
    lines.append(clean_line(report.sentence))
    about = (
        f"trained on {format_count(report.past, 'session')}, judged on what came after"
        f" ({format_count(report.sessions - report.past, 'session')}); model {clean_line(report.model)},"
        f" events {report.events_hash[:16]}"
    )
    lines.append(click.style(about, dim=True))
    return "\n".join(lines)


def _row(one: Outcome, sets: list[str], width: int, report: Report, note: str = "") -> str:
    from patina_hooks.training.verdict import signed

    name = f"{clean_line(one.name):<{width}}"
    if one.gain is None or one.mrr is None:
        return f"{name}  not judged: {clean_line(one.why)}"
    figures = "".join(f"  {one.mrr[set_].value:>14.3f}" for set_ in sets)
    used = "  <- used" if report.uses(one) else ""
    return f"{name}{figures}  {signed(one.gain)}{used}{note}"


def _trained(one: Outcome) -> Iterator[str]:
    if not one.weights:
        yield f"{clean_line(one.name)}: not trained: {clean_line(one.why)}"
        return
    learned = f"{format_count(one.count, 'pair')} ({clean_line(one.pairs)})" if one.epochs else "texts alone"
    curve = ""
    if one.curve:
        (_, first, _), (_, last, held) = one.curve[0], one.curve[-1]
        later = f", {held:.3f} on later pairs" if held is not None else ""
        curve = f", loss {first:.3f} to {last:.3f}{later} in {format_count(one.epochs, 'epoch')}"
    stopped = f", stopped: {one.stopped}" if one.stopped else ""
    what = f"{clean_line(one.name)}: {clean_line(one.kind)}"
    yield f"{what} from {learned}{curve}{stopped}, {one.seconds:.1f} s"


def _outlook_page(found: RunPlan) -> str:
    lines = [
        f"{format_count(found.texts, 'text')}, {format_count(found.questions, 'later question')} to judge by"
    ]
    for one in found.stale:
        took = "time not known" if one.seconds is None else f"at most about {one.seconds:.0f} s here"
        state = f"{one.why}; {format_count(one.pairs, 'pair')}, {took}" if one.why else "up to date"
        lines.append(f"{clean_line(one.name)} ({clean_line(one.kind)}): {state}")
    if found.lacks:
        lines.append(found.lacks)
    return "\n".join(lines)


def _outlook_as_json(found: RunPlan) -> dict[str, object]:
    from dataclasses import asdict

    told = asdict(found)
    told["projections"] = {one.pop("name"): one for one in told.pop("stale")}
    return told


def _draw(report: Report, path: Path) -> None:
    from patina_hooks.training.reports.report_chart import render_report

    try:
        path.write_text(render_report(report), "utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error


def _show_step(show: ProgressCallback, name: str, step: TrainingStep) -> None:
    """Show how far a training came, and its loss."""
    later = f", later pairs {step.held_loss:.3f}" if step.held_loss is not None else ""
    show(f"training {name[:20]}", step.epoch, step.epochs, f"loss {step.loss:.3f}{later}")
