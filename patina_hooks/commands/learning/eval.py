"""`patina eval`: how well this repository's memory answers, measured on its own history."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from patina_hooks.commands.freshness import freshen, open_patina
from patina_hooks.commands.messages import say_fault
from patina_hooks.errors import UsageError
from patina_hooks.system.progress import show_progress
from patina_hooks.text.date_format import format_day
from patina_hooks.text.display import clean_line, format_count

if TYPE_CHECKING:
    from collections.abc import Iterator

    from patina_hooks.evaluation.regression import MethodChange, RegressionVerdict
    from patina_hooks.evaluation.results import Evaluation, SetResult
    from patina_hooks.evaluation.statistics.intervals import Interval
    from patina_hooks.search.stored_weights import TunedWeights


@click.command("eval")
@click.option("--set", "names", metavar="NAME", multiple=True, help="Only this query set (may be repeated).")
@click.option(
    "--queries", type=click.Path(path_type=Path), metavar="FILE", help="Questions of your own, in JSON."
)
@click.option("--json", "as_json", is_flag=True, help="One object for programs.")
@click.option("--picture", type=click.Path(path_type=Path), metavar="FILE", help="Draw the figures (SVG).")
@click.option(
    "--gate", type=click.Path(path_type=Path), metavar="BASELINE", help="Exit 1 if answers became worse."
)
@click.option(
    "--drop", type=click.FloatRange(0, 1), default=0.02, show_default=True, help="What --gate tolerates."
)
@click.option("--tune", is_flag=True, help="Tune the weights of fusion on the past, judge them on the rest.")
@click.pass_context
def eval_command(
    context: click.Context,
    names: tuple[str, ...],
    queries: Path | None,
    as_json: bool,
    picture: Path | None,
    gate: Path | None,
    drop: float,
    tune: bool,
) -> None:
    """Measure the answers on questions from this repository's own history."""
    # numpy, and all that is measured with.
    from patina_hooks.evaluation import evaluate, regression, results

    if tune and (names or queries or gate or picture):
        raise UsageError("--tune goes with no option but --json", hint="patina eval --tune; patina eval")
    baseline = regression.read_baseline(gate) if gate else None
    with open_patina() as patina, show_progress("evaluation") as show:
        freshen(patina, show)
        if tune:
            tuned = evaluate.tune(patina, show)
            click.echo(json.dumps(_tuned_as_json(tuned)) if as_json else _tuned_page(tuned))
            return
        evaluation = evaluate.evaluate(
            patina, names=names, queries=queries, progress=show, on_fault=say_fault
        )
    verdict = (
        regression.compare_with_baseline(evaluation, baseline, drop, narrowed=bool(names))
        if baseline
        else None
    )
    if picture:
        _draw(evaluation, picture)
    if as_json:
        told = results.evaluation_as_json(evaluation)
        click.echo(json.dumps({**told, "gate": _verdict_as_json(verdict)} if verdict else told))
    else:
        click.echo("\n".join([*_page(evaluation), *(_verdict_lines(verdict) if verdict else [])]))
    if verdict and verdict.fell:
        context.exit(1)
    if verdict and verdict.trouble:
        raise UsageError(verdict.trouble, hint="patina eval --json > baseline.json")


def _page(evaluation: Evaluation) -> Iterator[str]:
    from patina_hooks.evaluation.methods import BASELINES
    from patina_hooks.evaluation.results import against

    for one in evaluation.sets:
        yield from _set_lines(one)
        yield ""
    asked = evaluation.asked
    if len(asked) > 1:
        yield click.style(f"all  {len(asked)} sets that weigh the same", bold=True)
        yield f"  {'':<10}  hybrid is better by"
        for other in BASELINES:
            measured_in = [one for one in asked if other in one.methods]
            where = f"  in {format_count(len(measured_in), 'set')}" if len(measured_in) < len(asked) else ""
            yield f"  {other:<10}  {_signed(against(asked, other))}{where}"
        yield ""
    measured = evaluation.measured
    about = [
        f"model {clean_line(measured.model)} ({clean_line(measured.runtime)})",
        f"projection {clean_line(measured.projection)}",
        *(["tuned weights"] if measured.tuned else []),
        f"first {measured.cutoff} answers",
        f"events {measured.events_hash[:16]}",
        *([f"questions after {format_day(measured.after)}"] if measured.after is not None else []),
    ]
    yield click.style(", ".join(about), dim=True)
    for note in _notes(evaluation):
        yield click.style(note, dim=True)


def _notes(evaluation: Evaluation) -> Iterator[str]:
    """What a reader of the figures has to bear in mind."""
    from patina_hooks.search.stored_weights import describe_unknown_retrievers, describe_unused_weights

    asked = evaluation.asked
    if small := [one.name for one in asked if one.is_small]:
        yield f"no interval: questions of fewer than ten sessions are too few to tell ({', '.join(small)})"
    if rough := [one.name for one in asked if one.is_rough]:
        yield f"rough intervals: they rest on fewer than twenty sessions ({', '.join(rough)})"
    if any("recent" not in one.methods for one in asked):
        yield "recent -: the latest session would be the right one by the way these questions are made"
    if evaluation.measured.ignored:
        yield f"{describe_unused_weights(evaluation.measured.ignored)}; patina eval --tune"
    if evaluation.measured.unknown_weights:
        yield f"{describe_unknown_retrievers(evaluation.measured.unknown_weights)}; patina eval --tune"


def _set_lines(one: SetResult) -> Iterator[str]:
    from patina_hooks.evaluation.methods import METHODS
    from patina_hooks.evaluation.results import against

    reason = f": {one.reason}" if one.reason else ""
    yield click.style(f"{one.name}  {format_count(one.n, 'question')}", bold=True) + reason
    if not one.n:
        return
    yield f"  {'':<10}  MRR@10  95 % interval   nDCG@10  recall@10  hybrid is better by"
    for method in dict.fromkeys([*METHODS, *one.methods]):
        if method not in one.methods:
            yield f"  {method:<10}  -"
            continue
        told = one.figures(method)
        ends = f"{told.low:.3f}..{told.high:.3f}" if told.low is not None else ""
        gain = "" if method == "hybrid" else _signed(against([one], method))
        row = f"  {method:<10}  {told.mrr:.3f}   {ends:<14}  {told.ndcg:.3f}    {told.recall:.3f}      {gain}"
        yield row.rstrip()


def _signed(difference: Interval) -> str:
    if difference.low is None or difference.high is None:
        return f"{difference.value:+.3f}"
    return f"{difference.value:+.3f}  {difference.low:+.3f}..{difference.high:+.3f}"


def _draw(evaluation: Evaluation, path: Path) -> None:
    from patina_hooks.evaluation.charts import Bar, Group, render_bars

    groups = []
    for one in evaluation.asked:
        told = [(method, one.figures(method)) for method in one.methods]
        drawn = tuple(Bar(method, f.mrr, f.low, f.high) for method, f in told)
        groups.append(Group(f"{one.name} ({format_count(one.n, 'question')})", drawn))
    measured = evaluation.measured
    about = [f"model {measured.model}", f"projection {measured.projection}", "95 % intervals"]
    if few := [one.name for one in evaluation.asked if one.is_small or one.is_rough]:
        about.append(f"of fewer than twenty sessions in {', '.join(few)}")
    note = ", ".join([*about, f"events {measured.events_hash[:16]}"])
    try:
        path.write_text(render_bars("MRR@10 by query set", groups, note=note), "utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error


def _verdict_lines(verdict: RegressionVerdict) -> Iterator[str]:
    yield ""
    yield click.style("since the baseline", bold=True)
    for one in verdict.sets:
        both = one.asked - one.new
        yield f"{one.name}  {format_count(both, 'question')} in both, {one.missing} missing, {one.new} new"
        yield from map(_change_line, one.changes, one.changes.values())
    if verdict.all:
        yield f"all  {format_count(verdict.change.n, 'question')} in both"
        yield from map(_change_line, verdict.all, verdict.all.values())
    if not verdict.same_history:
        yield "the history has changed since, so part of it may be that there is more to choose from"
    if verdict.fell:
        yield f"worse: something fell by more than {verdict.tolerated:g}, and chance does not explain it"
    elif verdict.trouble:
        yield "cannot tell"
    else:
        yield f"nothing is shown to be worse: no drop of more than {verdict.tolerated:g} beyond chance"


def _change_line(method: str, change: MethodChange) -> str:
    why = f"  ({change.why})" if change.why else ""
    return f"  {method:<10}  {change.outcome:<11}  {_signed(change.difference)}{why}"


def _verdict_as_json(verdict: RegressionVerdict) -> dict[str, object]:
    from patina_hooks.evaluation.results import difference_as_json

    told = {method: _change_as_json(change) for method, change in verdict.all.items()}
    return {
        **difference_as_json(verdict.change),
        "drop": verdict.tolerated,
        "fell": verdict.fell,
        "trouble": verdict.trouble,
        "same_history": verdict.same_history,
        "all": told,
        "sets": {
            one.name: {
                "asked": one.asked,
                "missing": one.missing,
                "new": one.new,
                "changes": {method: _change_as_json(change) for method, change in one.changes.items()},
            }
            for one in verdict.sets
        },
    }


def _change_as_json(change: MethodChange) -> dict[str, object]:
    from patina_hooks.evaluation.results import difference_as_json

    return {**difference_as_json(change.difference), "outcome": change.outcome, "why": change.why}


def _tuned_page(tuned: TunedWeights) -> str:
    weights = ", ".join(f"{name} {weight:.2f}" for name, weight in tuned.weights.items())
    past = f"{format_count(tuned.past, 'question')} until {format_day(tuned.split)}"
    gain = f"{_signed(_gain(tuned))} MRR@10 on {format_count(tuned.n, 'later question')}"
    if tuned.is_borne_out:
        verdict = "search uses them from now on"
    elif tuned.low is None:
        verdict = "the usual weights stay: later questions of fewer than ten sessions are too few to tell"
    else:
        verdict = "the usual weights stay: later questions do not show that these are better"
    return f"tuned on {past}: {weights}\n{gain}\n{verdict}"


def _tuned_as_json(tuned: TunedWeights) -> dict[str, object]:
    from patina_hooks.evaluation.results import difference_as_json

    told = {"weights": dict(tuned.weights), "split": tuned.split, "past": tuned.past}
    space = {"fingerprint": tuned.fingerprint, "projection": tuned.projection}
    return {**told, **space, **difference_as_json(_gain(tuned)), "in_use": tuned.is_borne_out}


def _gain(tuned: TunedWeights) -> Interval:
    from patina_hooks.evaluation.statistics.intervals import Interval

    return Interval(tuned.delta, tuned.low, tuned.high, tuned.n)
