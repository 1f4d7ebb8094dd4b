"""The report of a training run as a picture: how the loss fell, and what each projection gained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from patina_hooks.evaluation.picture import Bar, Group, Line, bars, curve, stacked
from patina_hooks.text.display import count
from patina_hooks.training.reports.report import NONE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from patina_hooks.specs.reports import Figure, Outcome, Report


def drawn(report: Report) -> str:
    """An SVG picture: MRR@10 by query set, the gains over the raw model, and each one's loss by epoch."""
    judged = [one for one in report.outcomes if one.mrr is not None]
    of_sets = [
        Group(
            f"{name} ({count(raw.n, 'question')})",
            (_bar("raw", {name: raw}, name), *(_bar(one.name, one.mrr or {}, name) for one in judged)),
        )
        for name, raw in report.raw.items()
    ]
    gains = tuple(
        Bar(one.name, one.gain.value, one.gain.low, one.gain.high) for one in judged if one.gain is not None
    )
    used = "the raw model" if report.active == NONE else report.active
    pictures = [
        bars("MRR@10 on later history, with 95 % intervals", of_sets, note=f"used: {used}"),
        bars("Gain over the raw model", [Group("all sets, weighing the same", gains)]),
    ]
    for one in report.outcomes:
        if one.curve:
            pictures.append(_losses(one))
    return stacked(pictures)


def _losses(one: Outcome) -> str:
    learned = tuple((float(epoch), loss) for epoch, loss, _ in one.curve)
    later = tuple((float(epoch), held) for epoch, _, held in one.curve if held is not None)
    lines = [Line("pairs learned from", learned), *([Line("later pairs", later)] if later else [])]
    title = f"{one.name}: loss by epoch, on {count(one.count, 'pair')} ({one.pairs})"
    return curve(title, lines, x_name="epoch", y_name="loss")


def _bar(label: str, figures: Mapping[str, Figure], name: str) -> Bar:
    figure = figures[name]
    return Bar(label, figure.value, figure.low, figure.high)
