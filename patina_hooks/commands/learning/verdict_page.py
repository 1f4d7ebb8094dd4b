"""The comparison of an evaluation with a baseline, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator

import click

from patina_hooks.commands.learning.intervals import render_difference
from patina_hooks.evaluation.regression import MethodChange, RegressionVerdict, SetVerdict
from patina_hooks.evaluation.results import difference_as_json
from patina_hooks.text.display import format_count


def render_lines(verdict: RegressionVerdict) -> Iterator[str]:
    """Yield the changes in each query set, in all together, and the conclusion."""
    yield ""
    yield click.style("since the baseline", bold=True)
    for result in verdict.sets:
        yield _render_counts(result)
        yield from map(_change_line, result.changes, result.changes.values())
    if verdict.overall:
        yield f"all  {format_count(verdict.change.n, 'question')} in both"
        yield from map(_change_line, verdict.overall, verdict.overall.values())
    if not verdict.same_history:
        yield "the history has changed since the baseline: part of a drop may come from more candidates"
    yield _conclude(verdict)


def as_object(verdict: RegressionVerdict) -> dict[str, object]:
    """Return the object `gate` of the JSON; docs/json.md has the keys."""
    return {
        **difference_as_json(verdict.change),
        "drop": verdict.tolerated,
        "fell": verdict.fell,
        "trouble": verdict.trouble,
        "same_history": verdict.same_history,
        "all": {method: _change_fields(change) for method, change in verdict.overall.items()},
        "sets": {result.name: _set_fields(result) for result in verdict.sets},
    }


def _conclude(verdict: RegressionVerdict) -> str:
    if verdict.fell:
        return f"worse: a drop of more than {verdict.tolerated:g} that chance does not explain"
    if verdict.trouble:
        return "cannot tell"
    return f"not worse: no drop of more than {verdict.tolerated:g} beyond chance"


def _render_counts(result: SetVerdict) -> str:
    common = format_count(result.queries - result.new, "question")
    return f"{result.name}  {common} in both, {result.missing} missing, {result.new} new"


def _change_line(method: str, change: MethodChange) -> str:
    reason = f"  ({change.reason})" if change.reason else ""
    return f"  {method:<10}  {change.outcome:<11}  {render_difference(change.difference)}{reason}"


def _set_fields(result: SetVerdict) -> dict[str, object]:
    return {
        "asked": result.queries,
        "missing": result.missing,
        "new": result.new,
        "changes": {method: _change_fields(change) for method, change in result.changes.items()},
    }


def _change_fields(change: MethodChange) -> dict[str, object]:
    return {**difference_as_json(change.difference), "outcome": change.outcome, "why": change.reason}
