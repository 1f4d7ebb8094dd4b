"""A comparison for eyes: the lines that `patina models compare` prints, and its picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from patina_hooks.evaluation.charts import Bar, Group, render_bars, stack_charts
from patina_hooks.evaluation.comparison.conclusion import claim_error, conclude, in_words
from patina_hooks.evaluation.comparison.model_answers import METHODS
from patina_hooks.evaluation.comparison.model_comparison import ALL, METRICS
from patina_hooks.evaluation.statistics.metrics import CUTOFF
from patina_hooks.text.display import clean_line, format_count, format_size

if TYPE_CHECKING:
    from patina_hooks.evaluation.comparison.model_comparison import Comparison, Row
    from patina_hooks.evaluation.statistics.intervals import Interval

_NAMES: Final = {"mrr": f"MRR@{CUTOFF}", "ndcg": f"nDCG@{CUTOFF}", "recall": f"recall@{CUTOFF}"}
_LONGEST: Final = 20  # characters of a label in a picture
_GAP: Final = "..."
_LAST: Final = (8, 9, 7, 10, 6, 11, 5, 12, 4, 13, 3, 14)
"""How many of them are a long name's last ones: the first number that does."""

_Table = list[Sequence[str]]
_Labels = Mapping[str, str]


def page(comparison: Comparison) -> Iterator[str]:
    """Line by line: answers, costs, what could not be measured, and what follows from it."""
    if comparison.questions:
        yield from _answers(comparison)
        yield ""
    if comparison.measured:
        yield from _costs(comparison)
        yield ""
    if any(row.agreement for row in comparison.measured):
        yield from _agreements(comparison)
        yield ""
    if comparison.failed:
        yield from _failed(comparison)
        yield ""
    if comparison.lacks:
        yield comparison.lacks
    yield from map(clean_line, conclude(comparison))
    if len(comparison.answered) > 1 and not comparison.lacks:
        yield _caution(comparison)


def _answers(comparison: Comparison) -> Iterator[str]:
    reference = comparison.reference
    several = len(comparison.answered) > 1
    to = f", and the difference to {clean_line(reference.name)}" if reference and several else ""
    yield f"ANSWERS to {comparison.basis} that weigh the same{to}"
    table: _Table = [("", "", *_NAMES.values())]
    for method in METHODS:
        for row in comparison.answered:
            figures = (_figure(comparison, row, method, metric, ALL) for metric in METRICS)
            table.append((method, clean_line(row.name), *figures))
    yield from _aligned(table)
    yield ""
    yield f"BY SET, {_NAMES['mrr']} of hybrid, which is what search answers"
    by_set: _Table = [("", "", *(clean_line(row.name) for row in comparison.answered))]
    for name, n in comparison.sets.items():
        figures = (_figure(comparison, row, "hybrid", "mrr", name) for row in comparison.answered)
        by_set.append((name, str(n), *figures))
    yield from _aligned(by_set)


def _figure(comparison: Comparison, row: Row, method: str, metric: str, name: str) -> str:
    value = comparison.figure(row, method, metric, name).value
    gain = comparison.difference(row, method, metric, name)
    return f"{value:.3f}  {in_words(gain)}" if gain else f"{value:.3f}"


def _costs(comparison: Comparison) -> Iterator[str]:
    texts = format_count(comparison.sample, "text")
    yield f"COSTS on this machine, with {texts} of this repository; medians of processes of their own"
    table: _Table = [("", "runtime", "texts/s", "cold start", "memory", "files", "length", "licence")]
    for row in comparison.measured:
        space = row.candidate.space
        table.append((
            clean_line(row.name),
            clean_line(space.runtime) if space else "",
            _cost(comparison, row, "texts_per_second"),
            _cost(comparison, row, "cold_start"),
            _cost(comparison, row, "memory"),
            _cost(comparison, row, "bytes"),
            str(space.dimensions) if space else "",
            clean_line(row.candidate.spec.licence) or "-",
        ))  # fmt: skip
    yield from _aligned(table)


def _cost(comparison: Comparison, row: Row, name: str) -> str:
    value, ratio = row.cost(name), comparison.ratio(row, name)
    if value is None:
        return "-"
    if name == "texts_per_second":
        text = f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
    else:
        text = f"{value:.2f} s" if name == "cold_start" else format_size(int(value))
    return text if ratio is None or row is comparison.reference else f"{text}  x{ratio:.2g}"


def _agreements(comparison: Comparison) -> Iterator[str]:
    yield "THE SAME FILES in another runtime: the cache keeps their vectors once; here each embeds by itself"
    table: _Table = [
        ("", "compared with", "texts", "least cosine", "mean cosine", "of the ten nearest, the same")
    ]
    for row in comparison.measured:
        if agreement := row.agreement:
            figures = (
                str(agreement.texts),
                f"{agreement.least:.5f}",
                f"{agreement.mean:.5f}",
                f"{agreement.overlap:.1%}",
            )
            table.append((clean_line(row.name), clean_line(agreement.to), *figures))
    yield from _aligned(table)


def _caution(comparison: Comparison) -> str:
    """How many chances to be lucky the page shows, and which of them the sentences allow for."""
    compared = len(comparison.answered) - 1
    shown_differences = compared * (len(METHODS) * len(METRICS) + len(comparison.sets))
    differences = format_count(shown_differences, "difference")
    sentence = f"The tables show {differences}, each with a 95 % interval of its own: of twenty, one"
    if compared == 1:
        return f"{sentence} seems sure by chance."
    return (
        f"{sentence} seems sure by chance. What is said of {compared} models above has intervals of"
        f" {100 - 100 * claim_error(comparison):.4g} %, so that it holds together."
    )


def _failed(comparison: Comparison) -> Iterator[str]:
    yield "NOT COMPARED, since they cannot run here"
    for row in comparison.failed:
        yield f"  {clean_line(row.name)}: {clean_line(row.error)}"
        if row.remedy:
            yield f"    try: {clean_line(row.remedy)}"


def _aligned(table: _Table) -> Iterator[str]:
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for row in table:
        yield "  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()


# --- the picture ------------------------------------------------------------------------------------


def render_chart(comparison: Comparison) -> str:
    """Render SVG: the results of each model, the difference to the first, and the costs."""
    labels = _labels([row.name for row in comparison.measured])
    return stack_charts([*_answers_drawn(comparison, labels), *_costs_drawn(comparison, labels)])


def _answers_drawn(comparison: Comparison, labels: _Labels) -> Iterator[str]:
    reference = comparison.reference
    if reference is None or not comparison.questions:
        return
    about = f"{comparison.basis}, 95 % intervals, events {comparison.events_hash[:16]}"
    means = []
    for method, label in (("hybrid", "hybrid: what search answers"), ("vector", "vectors only")):
        figures = ((row, comparison.figure(row, method, "mrr")) for row in comparison.answered)
        means.append(Group(label, tuple(_bar(labels, row, figure) for row, figure in figures)))
    yield render_bars(f"{_NAMES['mrr']} over all questions", means, note=about)
    if len(comparison.answered) > 1:
        title = f"{_NAMES['mrr']} of hybrid, compared with {reference.name}"
        gains = [*_gains_drawn(comparison, reference, labels)]
        yield render_bars(title, gains, note=f"{about}; above zero: finds more")


def _gains_drawn(comparison: Comparison, reference: Row, labels: _Labels) -> Iterator[Group]:
    """By set. The reference stands first in the first group: so a model has one colour in all pictures."""
    first = [Bar(labels[reference.name], 0.0)]
    for name in (ALL, *comparison.sets):
        gains = ((row, comparison.difference(row, "hybrid", "mrr", name)) for row in comparison.answered)
        yield Group(name, (*first, *(_bar(labels, row, gain) for row, gain in gains if gain)))
        first = []


def _bar(labels: _Labels, row: Row, figure: Interval) -> Bar:
    return Bar(labels[row.name], figure.value, figure.low, figure.high)


def _costs_drawn(comparison: Comparison, labels: _Labels) -> Iterator[str]:
    """All of them so that less is better; those with answers first, so that they keep their colours."""
    ordered = sorted(comparison.measured, key=lambda row: not row.sets)
    timed = [(row, row.speed) for row in ordered if row.speed]
    for title, costs in (
        ("Milliseconds a text", [(row, 1_000 / speed.texts_per_second) for row, speed in timed]),
        ("Cold start to the first vector, seconds", [(row, speed.cold_start) for row, speed in timed]),
        ("Peak memory, gigabytes", [(row, speed.memory / 1e9) for row, speed in timed if speed.memory]),
    ):
        if costs:
            group = Group("", tuple(Bar(labels[row.name], value) for row, value in costs))
            yield render_bars(title, [group], note="less is better; medians on this machine")


def _labels(names: Sequence[str]) -> _Labels:
    """Name -> label, no two alike: a picture has little room, and a colour goes by its label.

    Long names lose the middle, such a one that they stay apart; where none is, they are numbered.
    """
    for last in _LAST:
        labels = {name: _label(clean_line(name), last) for name in names}
        if len(set(labels.values())) == len(labels):
            return labels
    return {name: _label(f"{place} {clean_line(name)}", _LAST[0]) for place, name in enumerate(names, 1)}


def _label(name: str, last: int) -> str:
    first = _LONGEST - len(_GAP) - last
    return name if len(name) <= _LONGEST else f"{name[:first]}{_GAP}{name[-last:]}"
