"""Intervals hold what they promise, and claim nothing where there is too little to tell."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patina_hooks.evaluation.statistics.intervals import FEWEST, Interval, interval, paired, student

shares = st.floats(0, 1)
questions = st.lists(st.tuples(shares, st.integers(0, 30)), min_size=1, max_size=80)


def of(values: list[float], clusters: list[str]) -> Interval:
    return interval({"set": values}, {"set": clusters})


def test_the_interval_of_simulated_histories_holds_the_truth_about_95_times_of_100() -> None:
    """Forty sessions whose questions resemble each other; the truth is 0.5."""
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(200):
        sessions = rng.normal(0.5, 0.2, 40)
        sizes = rng.integers(1, 6, 40)
        values = [float(rng.normal(m, 0.1)) for m, n in zip(sessions, sizes, strict=True) for _ in range(n)]
        clusters = [str(c) for c, n in enumerate(sizes) for _ in range(n)]
        found = of(values, clusters)
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 0.5 <= found.high
    assert 180 <= held <= 199


def test_the_interval_of_few_sessions_does_not_miss_more_often() -> None:
    """Unwidened it would miss about one time in ten."""
    rng = np.random.default_rng(1)
    names = [str(c) for c in range(FEWEST)]
    held = 0
    for _ in range(300):
        found = of(rng.normal(0.5, 0.2, FEWEST).tolist(), names)
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 0.5 <= found.high
    assert held >= 300 * 0.93


@pytest.mark.parametrize(
    ("share", "freedom", "quantile"),
    [(0.975, 9, 2.262157), (0.995, 9, 3.249836), (0.975, 19, 2.093024), (0.975, 1_000, 1.962339)],
)
def test_quantiles_are_those_of_the_tables(share: float, freedom: int, quantile: float) -> None:
    assert student(share, freedom) == pytest.approx(quantile, abs=0.002)
    assert student(1 - share, freedom) == pytest.approx(-quantile, abs=0.002)


@settings(deadline=None, max_examples=30)
@given(st.lists(shares, min_size=FEWEST, max_size=40), st.floats(0.001, 0.05))
def test_an_interval_that_may_miss_less_often_is_no_narrower(values: list[float], error: float) -> None:
    names = {"set": [str(c) for c in range(len(values))]}
    usual, surer = interval({"set": values}, names), interval({"set": values}, names, error=error)
    assert usual.value == surer.value
    assert usual.low is not None
    assert surer.low is not None
    assert usual.high is not None
    assert surer.high is not None
    assert surer.low <= usual.low <= usual.high <= surer.high


def test_many_questions_of_one_session_tell_no_more_than_one() -> None:
    """Taken as independent, a tenfold copy of each question would make the interval three times narrower."""
    rng = np.random.default_rng(2)
    means = rng.random(30).tolist()
    names = [str(c) for c in range(30)]
    once = of(means, names)
    tenfold = of([m for m in means for _ in range(10)], [c for c in names for _ in range(10)])
    assert (tenfold.low, tenfold.high) == pytest.approx((once.low, once.high))
    assert (once.n, tenfold.n) == (30, 300)


@settings(deadline=None)
@given(questions, st.integers(0, 100))
def test_the_order_of_the_questions_does_not_matter(asked: list[tuple[float, int]], seed: int) -> None:
    shuffled = random.Random(seed).sample(asked, len(asked))
    first, second = (of([v for v, _ in q], [str(c) for _, c in q]) for q in (asked, shuffled))
    assert first.value == pytest.approx(second.value)
    if first.low is None:
        assert second.low is None
    else:
        assert (first.low, first.high) == pytest.approx((second.low, second.high))


@settings(deadline=None)
@given(questions)
def test_the_mean_lies_in_its_interval(asked: list[tuple[float, int]]) -> None:
    found = of([v for v, _ in asked], [str(c) for _, c in asked])
    assert found.value == pytest.approx(sum(v for v, _ in asked) / len(asked))
    few = len({c for _, c in asked}) < FEWEST
    assert (found.low is None) == (found.high is None) == few
    if found.low is not None and found.high is not None:
        assert min(v for v, _ in asked) - 1e-9 <= found.low <= found.high <= max(v for v, _ in asked) + 1e-9


def test_too_little_to_tell() -> None:
    assert interval({}, {}) == Interval(0.0, None, None, 0)
    assert of([], []) == Interval(0.0, None, None, 0)
    assert of([0.25], ["a"]) == Interval(0.25, None, None, 1)
    nine = [f"{n % 9}" for n in range(100)]
    assert of([0.5] * 100, nine) == Interval(0.5, None, None, 100)
    assert not of([0.5] * 100, nine).is_above_zero


def test_equal_values_have_an_interval_of_no_width() -> None:
    found = of([0.5] * 12, [str(c) for c in range(12)])
    assert (found.low, found.high) == (0.5, 0.5)
    assert found.is_above_zero
    assert not found.is_below_zero


def test_every_set_weighs_the_same() -> None:
    many, few = [1.0] * 90, [0.0] * 10
    clusters = {"many": [str(c % 15) for c in range(90)], "few": [str(c) for c in range(10)]}
    found = interval({"many": many, "few": few}, clusters)
    assert found.value == 0.5
    assert (found.low, found.high) == (0.5, 0.5)
    assert found.n == 100


def test_a_set_of_which_nothing_was_drawn_does_not_count_as_nought() -> None:
    names = [str(c) for c in range(40)]
    found = interval({"many": [1.0] * 40, "one": [1.0]}, {"many": names, "one": ["7"]})
    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)


def test_a_session_brings_its_questions_of_all_sets() -> None:
    """What is good in one set and bad in the other, session by session, cancels out in each draw."""
    rng = np.random.default_rng(3)
    names = [str(c) for c in range(40)]
    gains = rng.normal(0, 1, 40).tolist()
    opposed = interval({"a": gains, "b": [-g for g in gains]}, {"a": names, "b": names})
    assert (opposed.low, opposed.high) == pytest.approx((0.0, 0.0))
    strangers = interval({"a": gains, "b": [-g for g in gains]}, {"a": names, "b": [f"{c} b" for c in names]})
    assert strangers.low is not None
    assert strangers.low < -0.1


def test_a_paired_difference_is_surer_than_its_parts() -> None:
    rng = np.random.default_rng(4)
    names = {"set": [str(c) for c in range(50)]}
    base = rng.random(50)
    better, worse = {"set": (base + 0.05).tolist()}, {"set": base.tolist()}
    gain = paired(better, worse, names)
    assert gain.value == pytest.approx(0.05)
    assert gain.is_above_zero
    assert paired(worse, better, names).is_below_zero
    both = interval(better, names), interval(worse, names)
    assert both[0].low is not None
    assert both[1].high is not None
    assert both[0].low < both[1].high


def test_a_big_history_is_drawn_in_parts_to_the_same_end() -> None:
    values = np.random.default_rng(5).random(3_000).tolist()
    found = of(values, [str(c) for c in range(3_000)])
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.low == pytest.approx(2 * 1.96 * np.std(values) / np.sqrt(3_000), rel=0.1)
