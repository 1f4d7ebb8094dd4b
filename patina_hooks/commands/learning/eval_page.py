"""An evaluation as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from patina_hooks.commands.learning.intervals import render_difference
from patina_hooks.evaluation.methods import BASELINES, METHODS
from patina_hooks.evaluation.results import Evaluation, Measured, SetResult, against
from patina_hooks.search.stored_weights import describe_unknown_retrievers, describe_unused_weights
from patina_hooks.text.date_format import format_day
from patina_hooks.text.display import clean_line, format_count


def render_lines(evaluation: Evaluation) -> Iterator[str]:
    """Yield the table of each query set, that of all together, and what the figures rest on."""
    for result in evaluation.sets:
        yield from _set_lines(result)
        yield ""
    if len(evaluation.non_empty_sets) > 1:
        yield from _all_lines(evaluation.non_empty_sets)
        yield ""
    yield click.style(_render_measured(evaluation.measured), dim=True)
    for note in _notes(evaluation):
        yield click.style(note, dim=True)


def _set_lines(result: SetResult) -> Iterator[str]:
    reason = f": {result.reason}" if result.reason else ""
    yield click.style(f"{result.name}  {format_count(result.n, 'question')}", bold=True) + reason
    if not result.n:
        return
    yield f"  {'':<10}  MRR@10  95 % interval   nDCG@10  recall@10  hybrid is better by"
    for method in dict.fromkeys([*METHODS, *result.methods]):
        yield _method_row(result, method) if method in result.methods else f"  {method:<10}  -"


def _method_row(result: SetResult, method: str) -> str:
    figures = result.figures(method)
    ends = f"{figures.low:.3f}..{figures.high:.3f}" if figures.low is not None else ""
    gain = "" if method == "hybrid" else render_difference(against([result], method))
    quality = f"{figures.mrr:.3f}   {ends:<14}  {figures.ndcg:.3f}    {figures.recall:.3f}"
    return f"  {method:<10}  {quality}      {gain}".rstrip()


def _all_lines(results: Sequence[SetResult]) -> Iterator[str]:
    yield click.style(f"all  {len(results)} sets of equal weight", bold=True)
    yield f"  {'':<10}  hybrid is better by"
    for method in BASELINES:
        measured = [result for result in results if method in result.methods]
        sets = f"  in {format_count(len(measured), 'set')}" if len(measured) < len(results) else ""
        yield f"  {method:<10}  {render_difference(against(results, method))}{sets}"


def _render_measured(measured: Measured) -> str:
    parts = [
        f"model {clean_line(measured.model)} ({clean_line(measured.runtime)})",
        f"projection {clean_line(measured.projection)}",
        *(["tuned weights"] if measured.tuned else []),
        f"first {measured.cutoff} answers",
        f"events {measured.events_hash[:16]}",
        *([f"questions after {format_day(measured.after)}"] if measured.after is not None else []),
    ]
    return ", ".join(parts)


def _notes(evaluation: Evaluation) -> Iterator[str]:
    """Yield the limits of the figures."""
    results = evaluation.non_empty_sets
    if small := [result.name for result in results if result.is_small]:
        yield f"no interval: fewer than ten sessions ({', '.join(small)})"
    if rough := [result.name for result in results if result.is_rough]:
        yield f"rough intervals: fewer than twenty sessions ({', '.join(rough)})"
    if any("recent" not in result.methods for result in results):
        yield "recent -: not measured; the latest session is the right answer by construction"
    if evaluation.measured.ignored:
        yield f"{describe_unused_weights(evaluation.measured.ignored)}; try: patina eval --tune"
    if evaluation.measured.unknown_weights:
        yield f"{describe_unknown_retrievers(evaluation.measured.unknown_weights)}; try: patina eval --tune"
