"""An evaluation as a picture."""

from __future__ import annotations

from patina_hooks.evaluation.charts import Bar, Group, render_bars
from patina_hooks.evaluation.results import Evaluation, SetResult
from patina_hooks.text.display import format_count


def draw(evaluation: Evaluation) -> str:
    """Draw MRR@10 of each method in each query set as SVG."""
    measured = evaluation.measured
    facts = [f"model {measured.model}", f"projection {measured.projection}", "95 % intervals"]
    if small := [result.name for result in evaluation.non_empty_sets if result.is_small or result.is_rough]:
        facts.append(f"of fewer than twenty sessions in {', '.join(small)}")
    note = ", ".join([*facts, f"events {measured.events_hash[:16]}"])
    return render_bars(
        "MRR@10 by query set", [_group(result) for result in evaluation.non_empty_sets], note=note
    )


def _group(result: SetResult) -> Group:
    figures = [(method, result.figures(method)) for method in result.methods]
    drawn = tuple(Bar(method, item.mrr, item.low, item.high) for method, item in figures)
    return Group(f"{result.name} ({format_count(result.n, 'question')})", drawn)
