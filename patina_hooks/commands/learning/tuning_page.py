"""Tuned weights of fusion, as text and as JSON."""

from __future__ import annotations

from patina_hooks.commands.learning.intervals import render_difference
from patina_hooks.evaluation.results import difference_as_json
from patina_hooks.evaluation.statistics.intervals import Interval
from patina_hooks.search.stored_weights import TunedWeights
from patina_hooks.text.date_format import format_day
from patina_hooks.text.display import format_count


def render(tuned: TunedWeights) -> str:
    """Render the weights, their gain on later questions, and whether search uses them."""
    weights = ", ".join(f"{name} {weight:.2f}" for name, weight in tuned.weights.items())
    past = f"{format_count(tuned.past, 'question')} until {format_day(tuned.split)}"
    gain = f"{render_difference(_gain(tuned))} MRR@10 on {format_count(tuned.n, 'later question')}"
    return f"tuned on {past}: {weights}\n{gain}\n{_conclude(tuned)}"


def as_object(tuned: TunedWeights) -> dict[str, object]:
    """Return the object that `--json` prints; docs/json.md has the keys."""
    return {
        "weights": dict(tuned.weights),
        "split": tuned.split,
        "past": tuned.past,
        "fingerprint": tuned.fingerprint,
        "projection": tuned.projection,
        **difference_as_json(_gain(tuned)),
        "in_use": tuned.is_borne_out,
    }


def _conclude(tuned: TunedWeights) -> str:
    if tuned.is_borne_out:
        return "search uses the tuned weights from now on"
    if tuned.low is None:
        return "using default weights: later questions of fewer than ten sessions are not enough to tell"
    return "using default weights: the tuned ones are not shown to be better on later questions"


def _gain(tuned: TunedWeights) -> Interval:
    return Interval(tuned.delta, tuned.low, tuned.high, tuned.n)
