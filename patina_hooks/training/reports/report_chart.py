"""The report of a training run as an SVG chart: losses, and gains of the projections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from patina_hooks.evaluation.charts import Bar, Curve, Group, render_bars, render_curves, stack_charts
from patina_hooks.text.display import format_count
from patina_hooks.training.reports.report import NONE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from patina_hooks.specs.reports import Figure, Outcome, Report


def render_report(report: Report) -> str:
    """Render SVG: MRR@10 by query set, gains over the raw model, and losses by epoch."""
    judged = [outcome for outcome in report.outcomes if outcome.mrr is not None]
    groups = [
        Group(
            f"{name} ({format_count(raw.n, 'question')})",
            (
                _bar("raw", {name: raw}, name),
                *(_bar(outcome.name, outcome.mrr or {}, name) for outcome in judged),
            ),
        )
        for name, raw in report.raw.items()
    ]
    gains = tuple(
        Bar(outcome.name, outcome.gain.value, outcome.gain.low, outcome.gain.high)
        for outcome in judged
        if outcome.gain is not None
    )
    used = "the raw model" if report.active == NONE else report.active
    pictures = [
        render_bars("MRR@10 on later history, with 95 % intervals", groups, note=f"used: {used}"),
        render_bars("Gain over the raw model", [Group("all sets, equally weighted", gains)]),
    ]
    for outcome in report.outcomes:
        if outcome.curve:
            pictures.append(_losses(outcome))
    return stack_charts(pictures)


def _losses(outcome: Outcome) -> str:
    learned = tuple((float(epoch), loss) for epoch, loss, _ in outcome.curve)
    later = tuple((float(epoch), held) for epoch, _, held in outcome.curve if held is not None)
    lines = [Curve("pairs learned from", learned), *([Curve("later pairs", later)] if later else [])]
    title = f"{outcome.name}: loss by epoch, on {format_count(outcome.count, 'pair')} ({outcome.pairs})"
    return render_curves(title, lines, x_name="epoch", y_name="loss")


def _bar(label: str, figures: Mapping[str, Figure], name: str) -> Bar:
    figure = figures[name]
    return Bar(label, figure.value, figure.low, figure.high)
