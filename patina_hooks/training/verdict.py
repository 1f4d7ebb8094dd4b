"""Which projection is used after a run, and why, in one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from patina_hooks.specs.reports import Figure, Outcome
from patina_hooks.text.display import count


@dataclass(frozen=True, slots=True)
class Verdict:
    """used: what answers from now on, None for the raw model; forced: against the gate."""

    used: Outcome | None
    forced: bool
    sentence: str


def decide(outcomes: Sequence[Outcome], former: Outcome | None, *, force: bool, was_forced: bool) -> Verdict:
    """The one whose gain over the raw model is surest, of those that passed the gate; else the raw model.

    former: what was used before, which may be one of the outcomes. force: else use the best that there is.
    was_forced: else keep the former, which the user wanted against the gate.
    """
    judged = [one for one in outcomes if one.gain is not None]
    passed = [one for one in [*judged, *([former] if former else [])] if one.passes]
    if passed:
        used = max(passed, key=_surest)
        return Verdict(used, False, f"{used.name} is used: {_better(used)}.")
    best = max(judged, key=_best, default=None)
    if force and best is not None:
        return Verdict(best, True, f"{best.name} is used because it was forced: {_unproven(best)}.")
    if was_forced and former is not None:
        return Verdict(former, True, f"{former.name} stays in use because it was forced.")
    if best is None:
        whys = "; ".join(f"{one.name}: {one.why}" for one in outcomes if one.why)
        return Verdict(None, False, f"The raw model answers: nothing could be judged ({whys}).")
    return Verdict(
        None, False, f"The raw model answers: the best of the others is {best.name}, {_unproven(best)}."
    )


def signed(figure: Figure) -> str:
    """A difference with its interval: "+0.012 (-0.004 to +0.028)"."""
    if figure.low is None or figure.high is None:
        return f"{figure.value:+.3f}"
    return f"{figure.value:+.3f} ({figure.low:+.3f} to {figure.high:+.3f})"


def _surest(one: Outcome) -> float:
    return one.gain.low if one.gain is not None and one.gain.low is not None else -1.0


def _best(one: Outcome) -> float:
    return one.gain.value if one.gain is not None else -1.0


def _better(one: Outcome) -> str:
    assert one.gain is not None  # noqa: S101 (it passed)
    questions = count(one.gain.n, "later question")
    return f"over {questions} its MRR@10 is {signed(one.gain)} against the raw model, all of it above zero"


def _unproven(one: Outcome) -> str:
    if one.gain is None or one.gain.low is None:
        return "and too few sessions asked to tell"
    questions = count(one.gain.n, "later question")
    worse = one.gain.high is not None and one.gain.high < 0
    shown = "which is worse" if worse else "which may be chance"
    return f"over {questions} its MRR@10 is {signed(one.gain)} against the raw model, {shown}"
