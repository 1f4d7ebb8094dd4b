"""Which projection is used after a run: the surest that passed; else raw, the forced one or the former."""

from __future__ import annotations

import pytest
from projection.outcomes import outcome

from patina_hooks.specs.reports import Figure, Outcome
from patina_hooks.training.verdict import Verdict, decide, signed

PASSED = outcome("passed", 0.01, 0.05, 0.09)
SURER = outcome("surer", 0.02, 0.03, 0.04)
UNSURE = outcome("unsure", -0.01, 0.06, 0.13)
WORSE = outcome("worse", -0.09, -0.05, -0.01)
UNTOLD = outcome("untold", None, 0.2)
FAILED = outcome("failed", why="no pairs")


def decided(
    *outcomes: Outcome, former: Outcome | None = None, force: bool = False, was_forced: bool = False
) -> Verdict:
    return decide(outcomes, former, force=force, was_forced=was_forced)


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("was_forced", [False, True])
def test_the_surest_of_those_that_passed_is_used(force: bool, was_forced: bool) -> None:
    found = decided(PASSED, UNSURE, SURER, WORSE, UNTOLD, FAILED, force=force, was_forced=was_forced)
    assert (found.used, found.forced) == (SURER, False)
    assert found.sentence == (
        "surer is used: over 90 later questions its MRR@10 is +0.030 (+0.020 to +0.040) against the raw"
        " model, all of it above zero."
    )


@pytest.mark.parametrize("outcomes", [(UNSURE,), (WORSE,), (UNTOLD,), (FAILED,), (UNSURE, FAILED), ()])
def test_where_none_passed_the_raw_model_answers(outcomes: tuple[Outcome, ...]) -> None:
    found = decided(*outcomes)
    assert (found.used, found.forced) == (None, False)
    assert found.sentence.startswith("The raw model answers: ")


def test_the_sentence_says_why_the_best_was_refused() -> None:
    assert decided(UNSURE, WORSE).sentence == (
        "The raw model answers: the best of the others is unsure, over 90 later questions its MRR@10 is"
        " +0.060 (-0.010 to +0.130) against the raw model, which may be chance."
    )
    assert decided(WORSE).sentence.endswith("(-0.090 to -0.010) against the raw model, which is worse.")
    assert decided(UNTOLD).sentence.endswith("untold, with too few sessions for a verdict.")
    assert decided(FAILED).sentence.endswith("no projection could be evaluated (failed: no pairs).")


def test_the_former_stays_where_it_passes_and_nothing_is_surer() -> None:
    assert decided(PASSED, former=SURER).used == SURER
    assert decided(UNSURE, former=PASSED).used == PASSED
    assert decided(FAILED, former=PASSED).used == PASSED
    assert decided(SURER, former=PASSED).used == SURER


def test_the_former_goes_where_it_passes_no_more() -> None:
    assert decided(WORSE, former=UNSURE).used is None
    assert decided(PASSED, former=UNSURE).used == PASSED


def test_force_uses_the_best_that_the_gate_refused() -> None:
    found = decided(WORSE, UNSURE, FAILED, force=True)
    assert (found.used, found.forced) == (UNSURE, True)
    assert found.sentence.startswith("unsure is used because it was forced: ")
    assert decided(FAILED, force=True).used is None


def test_what_was_forced_stays_until_something_passes() -> None:
    found = decided(WORSE, UNSURE, former=UNTOLD, was_forced=True)
    assert (found.used, found.forced) == (UNTOLD, True)
    again = decided(WORSE, UNSURE, former=WORSE, was_forced=True)
    assert (again.used, again.forced) == (WORSE, True)
    assert decided(PASSED, former=WORSE, was_forced=True) == decided(PASSED)
    passing = decided(PASSED, former=PASSED, was_forced=True)
    assert (passing.used, passing.forced) == (PASSED, False)


def test_a_difference_is_shown_with_its_sign_and_ends() -> None:
    assert signed(Figure(0.0123, -0.004, 0.0281, 3)) == "+0.012 (-0.004 to +0.028)"
    assert signed(Figure(-0.5, None, None, 3)) == "-0.500"
