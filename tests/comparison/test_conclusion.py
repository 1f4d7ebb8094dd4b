"""What is concluded: never more than the figures hold."""

from __future__ import annotations

import re

import pytest
from comparison.compared import comparison, failed, row, shared
from hypothesis import given, settings
from hypothesis import strategies as st

from patina_hooks.evaluation.comparison.conclusion import conclude, in_words

FAIR = [0.5, 0.2, 1.0, 0.0] * 15
BETTER = [min(1.0, value + 0.2) for value in FAIR]
MIXED = [value + (0.1 if place % 2 else -0.1) for place, value in enumerate(FAIR)]


def test_more_and_slower() -> None:
    (told,) = conclude(comparison(row("a", FAIR), row("b", BETTER, rate=32.0)))
    assert re.fullmatch(
        r"b finds more than a: MRR@10 \+0\.150 \(\+0\.\d+ to \+0\.\d+\) on 60 questions of 1 set;"
        r" it is 3\.1 times slower\.",
        told,
    )


def test_less_and_faster() -> None:
    (told,) = conclude(comparison(row("a", BETTER), row("b", FAIR, rate=3_000.0)))
    assert told.startswith("b finds less than a: MRR@10 -0.150 (-0.")
    assert told.endswith("; it is 30 times faster.")


def test_what_cannot_be_told_apart() -> None:
    (told,) = conclude(comparison(row("a", FAIR), row("b", MIXED, rate=110.0)))
    assert told.startswith("b and a cannot be told apart on 60 questions of 1 set: MRR@10 +0.000 (-0.0")
    assert told.endswith("); it is about as fast.")


def test_words_may_hide_what_vectors_miss() -> None:
    (told,) = conclude(comparison(row("a", FAIR, BETTER), row("b", MIXED, FAIR)))
    assert "cannot be told apart" in told
    assert ", though by vectors only the former finds less, -0.150 (-0." in told


def test_too_few_sessions() -> None:
    few = comparison(row("a", FAIR, clusters=6), row("b", BETTER, clusters=6))
    assert few.lacks.endswith("6 sessions (or days of commits), and it takes 10: 4 more")
    (told,) = conclude(few)
    assert told.startswith("It cannot be told whether b finds more than a: too few sessions ask; ")


def test_no_questions_at_all() -> None:
    none = comparison(row("a", []), row("b", [], rate=20.0))
    assert none.lacks == "no answers are compared: 3 session documents and 5 commits give no question"
    assert conclude(none) == ["What b and a find was not compared; it is 5.0 times slower."]


def test_one_alone_and_none() -> None:
    assert conclude(comparison(row("a", FAIR))) == []
    assert conclude(comparison(failed("a"), failed("b"))) == []


def test_the_first_that_ran_is_what_the_others_are_compared_with() -> None:
    made = comparison(failed("a"), row("b", FAIR), row("c", BETTER))
    assert made.reference is made.rows[1]
    (told,) = conclude(made)
    assert told.startswith("c finds more than b")


def test_what_is_claimed_of_several_holds_together() -> None:
    """A difference that is sure alone, by little, is not so as one of many."""
    slight = [value + (0.065 if place % 2 else -0.017) for place, value in enumerate(FAIR)]
    alone = comparison(row("a", FAIR), row("b", slight))
    gain = alone.difference(alone.rows[1], "hybrid", "mrr")
    assert gain is not None
    assert gain.is_above_zero
    assert conclude(alone)[0].startswith("b finds more than a")
    others = [row(name, MIXED) for name in "cdefghij"]
    many = comparison(row("a", FAIR), row("b", slight), *others)
    first, *_ = conclude(many)
    assert len(conclude(many)) == 9
    assert first.startswith("b and a cannot be told apart")
    wide = many.difference(many.rows[1], "hybrid", "mrr", error=0.05 / 9)
    assert wide is not None
    assert in_words(wide) in first


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=40),
    st.integers(1, 30),
)
def test_more_or_less_is_said_only_where_the_interval_is_on_one_side(
    values: list[tuple[float, float]], clusters: int
) -> None:
    first = row("a", [one for one, _ in values], clusters=clusters)
    second = row("b", [other for _, other in values], clusters=clusters)
    made = comparison(first, second)
    gain = made.difference(second, "hybrid", "mrr")
    assert gain is not None
    (told,) = conclude(made)
    assert told.startswith("b finds more") == gain.is_above_zero
    assert told.startswith("b finds less") == gain.is_below_zero
    if len(set(second.sets[0].clusters)) < 10:
        assert told.startswith("It cannot be told")


def test_a_speed_is_beside_the_row_that_the_sentence_names() -> None:
    made = comparison(row("a", FAIR), row("b", FAIR, rate=10.0), shared("b@mlx", "b", rate=40.0))
    slower, faster = conclude(made)
    assert slower.endswith("; it is 10 times slower.")
    assert faster.startswith("b@mlx shares its vectors with b by fingerprint: ")
    assert faster.endswith("; it is 4.0 times faster.")
    assert made.ratio(made.rows[2], "texts_per_second") == 0.4


@pytest.mark.parametrize(("rate", "told"), [(124.0, "about as fast"), (126.0, "1.3 times faster")])
def test_noise_is_no_difference_of_speed(rate: float, told: str) -> None:
    assert told in conclude(comparison(row("a", FAIR), row("b", FAIR, rate=rate)))[0]
