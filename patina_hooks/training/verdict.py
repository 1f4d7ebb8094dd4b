"""The choice of a projection after a run, with its reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from patina_hooks.specs.reports import Figure, Outcome
from patina_hooks.text.display import format_count


@dataclass(frozen=True, slots=True)
class Verdict:
    """The projection to use, None for the raw model.

    forced: whether the gate refuses it.
    sentence: the reason for users.
    """

    used: Outcome | None
    forced: bool
    sentence: str


def decide(outcomes: Sequence[Outcome], former: Outcome | None, *, force: bool, was_forced: bool) -> Verdict:
    """Choose the projection with the highest lower bound that passes the gate, else the raw model.

    Args:
        outcomes: the projections of this run.
        former: the projection in use before, which may be one of the outcomes.
        force: use the best projection if none passes.
        was_forced: keep the former, which the user forced against the gate, if none passes.
    """
    judged = [outcome for outcome in outcomes if outcome.gain is not None]
    passed = [outcome for outcome in [*judged, *([former] if former else [])] if outcome.passes]
    if passed:
        used = max(passed, key=_lower_bound)
        return Verdict(used, False, f"{used.name} is used: {_describe_gain(used)}.")
    best = max(judged, key=_gain, default=None)
    if force and best is not None:
        return Verdict(best, True, f"{best.name} is used because it was forced: {_describe_unproven(best)}.")
    if was_forced and former is not None:
        return Verdict(former, True, f"{former.name} stays in use because it was forced.")
    if best is None:
        reasons = "; ".join(f"{outcome.name}: {outcome.why}" for outcome in outcomes if outcome.why)
        return Verdict(None, False, f"The raw model answers: no projection could be evaluated ({reasons}).")
    return Verdict(
        None,
        False,
        f"The raw model answers: the best of the others is {best.name}, {_describe_unproven(best)}.",
    )


def signed(figure: Figure) -> str:
    """Format a difference with its interval: "+0.012 (-0.004 to +0.028)"."""
    if figure.low is None or figure.high is None:
        return f"{figure.value:+.3f}"
    return f"{figure.value:+.3f} ({figure.low:+.3f} to {figure.high:+.3f})"


def _lower_bound(outcome: Outcome) -> float:
    return outcome.gain.low if outcome.gain is not None and outcome.gain.low is not None else -1.0


def _gain(outcome: Outcome) -> float:
    return outcome.gain.value if outcome.gain is not None else -1.0


def _describe_gain(outcome: Outcome) -> str:
    assert outcome.gain is not None  # noqa: S101 (it passed)
    questions = format_count(outcome.gain.n, "later question")
    return (
        f"over {questions} its MRR@10 is {signed(outcome.gain)} against the raw model, all of it above zero"
    )


def _describe_unproven(outcome: Outcome) -> str:
    if outcome.gain is None or outcome.gain.low is None:
        return "with too few sessions for a verdict"
    questions = format_count(outcome.gain.n, "later question")
    worse = outcome.gain.high is not None and outcome.gain.high < 0
    conclusion = "which is worse" if worse else "which may be chance"
    return f"over {questions} its MRR@10 is {signed(outcome.gain)} against the raw model, {conclusion}"
