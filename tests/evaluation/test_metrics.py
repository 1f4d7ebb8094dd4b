"""The figures are those that everybody else computes."""

from __future__ import annotations

import ir_measures
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ir_measures import RR, R, nDCG

from patina_hooks.evaluation.statistics.metrics import (
    NOT_FOUND,
    best_units,
    measure_ranking,
    measure_relevance,
)

rankings = st.integers(1, 25).flatmap(
    lambda units: st.tuples(
        st.permutations(range(units)),
        st.integers(0, units),
        st.frozensets(st.integers(0, units - 1), min_size=1),
    )
)


@settings(deadline=None)
@given(rankings)
def test_the_figures_are_those_of_ir_measures(ranking: tuple[list[int], int, frozenset[int]]) -> None:
    order, found, relevant = ranking
    scores = np.full(len(order), NOT_FOUND, np.float32)
    for rank, unit in enumerate(order[:found]):
        scores[unit] = -rank
    ours = measure_ranking(scores, relevant)

    run = {"q": {f"d{unit}": float(scores[unit]) for unit in order[:found]}}
    qrels = {"q": {f"d{unit}": 1 for unit in relevant}}
    theirs = ir_measures.calc_aggregate([RR @ 10, nDCG @ 10, R @ 10], qrels, run)
    assert ours.rr == pytest.approx(theirs[RR @ 10])
    assert ours.ndcg == pytest.approx(theirs[nDCG @ 10])
    assert ours.recall == pytest.approx(theirs[R @ 10])


def test_equal_scores_are_ranked_in_the_order_of_the_units() -> None:
    scores = np.array([0.5, 0.9, 0.5, NOT_FOUND, 0.9, 0.5], np.float32)
    assert best_units(scores).tolist() == [1, 4, 0, 2, 5]
    assert best_units(scores, 3).tolist() == [1, 4, 0]


def test_what_is_not_found_is_worth_nothing() -> None:
    nothing = measure_ranking(np.full(4, NOT_FOUND, np.float32), {2})
    assert (nothing.rr, nothing.ndcg, nothing.recall) == (0.0, 0.0, 0.0)
    eleventh = measure_ranking(np.arange(20, 0, -1).astype(np.float32), {10})
    assert (eleventh.rr, eleventh.ndcg, eleventh.recall) == (0.0, 0.0, 0.0)


def test_many_right_answers_can_all_be_found_only_among_ten() -> None:
    full = measure_relevance([True] * 10, 20)
    assert (full.rr, full.recall) == (1.0, 0.5)
    assert full.ndcg == pytest.approx(1.0)
