"""Min-max fusion: what it must hold whatever the scores are."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patina_hooks.search.fusion import WEIGHTS, fuse, scale

SCORES = st.dictionaries(st.integers(0, 20), st.floats(-50, 50), max_size=8)
CHANNELS = st.dictionaries(st.sampled_from(sorted(WEIGHTS)), SCORES, max_size=4)


@given(SCORES)
def test_scaled_scores_keep_their_order_within_0_and_1(scores: Mapping[int, float]) -> None:
    scaled = scale(scores)
    assert scaled.keys() == scores.keys()
    assert all(0 <= value <= 1 for value in scaled.values())
    assert not scores or max(scaled.values()) == 1
    for one in scores:
        for other in scores:
            assert scores[one] < scores[other] or scaled[one] >= scaled[other]


@given(CHANNELS)
def test_everything_found_has_a_score_that_its_channels_explain(
    channels: Mapping[str, Mapping[int, float]],
) -> None:
    fused = fuse(channels)
    assert fused.keys() == {key for scores in channels.values() for key in scores}
    for key, score in fused.items():
        found = [name for name, scores in channels.items() if key in scores]
        assert -1e-9 <= score <= sum(WEIGHTS[name] for name in found) + 1e-9


@given(CHANNELS, st.floats(0.1, 10), st.floats(-5, 5))
def test_a_channels_unit_and_origin_do_not_matter(
    channels: Mapping[str, Mapping[int, float]], factor: float, shift: float
) -> None:
    whole = {name: {key: round(score) for key, score in scores.items()} for name, scores in channels.items()}
    moved = {
        name: {key: score * factor + shift for key, score in scores.items()} for name, scores in whole.items()
    }
    assert fuse(moved) == pytest.approx(fuse(whole), abs=1e-6)


def test_the_weighted_sum() -> None:
    channels = {"observation": {"a": 2.0, "b": 4.0, "c": 3.0}, "vector": {"b": -1.0, "d": 1.0}}
    assert fuse(channels) == pytest.approx({"a": 0.0, "b": 0.35, "c": 0.175, "d": 0.30})


def test_a_single_candidate_counts_in_full() -> None:
    assert fuse({"title": {"a": 0.01}}) == {"a": WEIGHTS["title"]}


def test_the_weights_are_shares() -> None:
    assert sum(WEIGHTS.values()) == pytest.approx(1)
