"""A training run, and the plan of one, as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from patina_hooks.text.display import clean_line, format_count
from patina_hooks.training.verdict import signed

if TYPE_CHECKING:
    from patina_hooks.specs.reports import Outcome, Report
    from patina_hooks.training.oxidize import RunPlan, Staleness


def report_lines(report: Report) -> Iterator[str]:
    """Yield the table of figures, how each projection was trained, and the verdict."""
    if report.raw:
        yield from _table(report)
        yield ""
    trained = [
        outcome for outcome in report.outcomes if not (outcome.lacks and outcome.why in report.sentence)
    ]
    if trained:
        yield from map(_render_training, trained)
        yield ""
    yield clean_line(report.sentence)
    history = (
        f"{format_count(report.past, 'session')} to learn from,"
        f" {report.sessions - report.past:,} later to test on"
        f"; model {clean_line(report.model)}, events {report.events_hash[:16]}"
    )
    yield click.style(history, dim=True)


def plan_lines(run_plan: RunPlan) -> Iterator[str]:
    """Yield the size of the history, what is stale, and what a verdict lacks."""
    texts = format_count(run_plan.texts, "text")
    yield f"{texts}, {format_count(run_plan.questions, 'later question')} to test on"
    for stale in run_plan.stale:
        state = _render_stale(stale) if stale.why else "up to date"
        yield f"{clean_line(stale.name)} ({clean_line(stale.kind)}): {state}"
    if run_plan.lacks:
        yield run_plan.lacks


def _render_stale(stale: Staleness) -> str:
    cost = "time not known" if stale.seconds is None else f"at most about {stale.seconds:.0f} s here"
    return f"{stale.why}; {format_count(stale.pairs, 'pair')}, {cost}"


def _table(report: Report) -> Iterator[str]:
    width = max(len(name) for name in ["projection", *(outcome.name for outcome in report.outcomes)])
    yield click.style(f"{'MRR@10':<{width}}{_cells(list(report.raw))}  against raw", bold=True)
    yield f"{'raw':<{width}}" + _cells([f"{figure.value:.3f}" for figure in report.raw.values()])
    yield from (_row(outcome, width, report) for outcome in report.outcomes)
    if report.former:
        yield _row(report.former, width, report, "  (in use before)")
    yield f"{'questions':<{width}}" + _cells([f"{figure.n:,}" for figure in report.raw.values()])


def _cells(texts: list[str]) -> str:
    return "".join(f"  {text:>14}" for text in texts)


def _row(outcome: Outcome, width: int, report: Report, note: str = "") -> str:
    name = f"{clean_line(outcome.name):<{width}}"
    if outcome.gain is None or outcome.mrr is None:
        return f"{name}  not tested: {clean_line(outcome.why)}"
    figures = _cells([f"{outcome.mrr[set_name].value:.3f}" for set_name in report.raw])
    mark = "  <- used" if report.uses(outcome) else ""
    return f"{name}{figures}  {signed(outcome.gain)}{mark}{note}"


def _render_training(outcome: Outcome) -> str:
    name = clean_line(outcome.name)
    if not outcome.weights:
        return f"{name}: not trained: {clean_line(outcome.why)}"
    pairs = f"{format_count(outcome.count, 'pair')} ({clean_line(outcome.pairs)})"
    source = pairs if outcome.epochs else "texts only"
    stopped = f", stopped: {outcome.stopped}" if outcome.stopped else ""
    kind = f"{name}: {clean_line(outcome.kind)} from {source}"
    return f"{kind}{_render_curve(outcome)}{stopped}, {outcome.seconds:.1f} s"


def _render_curve(outcome: Outcome) -> str:
    if not outcome.curve:
        return ""
    (_, first, _), (_, last, later) = outcome.curve[0], outcome.curve[-1]
    pairs = f", {later:.3f} on later pairs" if later is not None else ""
    return f", loss {first:.3f} to {last:.3f}{pairs} in {format_count(outcome.epochs, 'epoch')}"
