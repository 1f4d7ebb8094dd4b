"""The two losses: what pulls, what pushes, and what may not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from projection.small_trainings import SETTINGS, pairs, task, unit

from patina_hooks.specs.training import TrainingTask
from patina_hooks.training.trainers.mlp import TripletObjective, triplet_loss
from patina_hooks.training.trainers.residual import ContrastObjective, contrast_loss


def test_a_triplet_that_keeps_the_margin_costs_nothing_and_another_what_is_lacking() -> None:
    anchor, near, far = [1.0, 0.0], [0.6, 0.8], [0.0, 1.0]
    kept, dy = triplet_loss(np.array([anchor, near, far]), np.ones(1), 0.5)
    assert kept == 0
    assert not dy.any()
    lacking, dy = triplet_loss(np.array([anchor, far, near]), np.ones(1), 0.5)
    assert lacking == pytest.approx(0.5 + 0.6)
    assert dy.tolist() == [[0.6, pytest.approx(-0.2)], [-1, 0], [1, 0]]


def test_a_session_is_judged_by_its_nearest_text_that_may_be_looked_at() -> None:
    anchors, texts = [[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [0.6, 0.8], [1.0, 0.0], [0.8, 0.6]]
    allowed = np.ones((2, 2, 2), bool)
    allowed[0, 1, 0] = False
    loss, dy = contrast_loss(np.array(anchors + texts), allowed, np.array([1.0, 0.0]), 0.5)
    assert loss == pytest.approx(np.log(1 + np.exp((0.8 - 0.6) / 0.5)))
    pulled = np.flatnonzero(dy.any(axis=1)).tolist()
    assert pulled == [0, 3, 5]  # the anchor, its own nearest text, the other session's that may be looked at


def test_alone_in_a_batch_there_is_nothing_to_tell_apart() -> None:
    y = unit(np.random.default_rng(0).standard_normal((6, 4)))
    allowed = np.zeros((3, 3, 1), bool)
    allowed[range(3), range(3)] = True
    loss, dy = contrast_loss(y, allowed, np.ones(3, np.float32), 0.05)
    assert loss == 0
    assert not dy.any()


def test_a_pair_counts_by_its_weight() -> None:
    draw = np.random.default_rng(3)
    y = draw.standard_normal((8 + 16, 5))
    y /= np.linalg.norm(y, axis=1, keepdims=True)
    weights, each = draw.random(8), np.eye(8)
    allowed = np.ones((8, 8, 2), bool)
    apart = [contrast_loss(y, allowed, one, 0.1)[0] for one in each]
    assert contrast_loss(y, allowed, weights, 0.1)[0] == pytest.approx(np.average(apart, weights=weights))
    apart = [triplet_loss(y, one, 0.3)[0] for one in each]
    assert triplet_loss(y, weights, 0.3)[0] == pytest.approx(np.average(apart, weights=weights))


@st.composite
def _tasks(draw: st.DrawFn) -> TrainingTask:
    """Texts that several sessions say, and batches in which sessions come more than once."""
    of = task(sessions=8, texts=4, held=2)
    others = st.frozensets(st.integers(0, 7), max_size=3)
    groups = [own | draw(others) for own in of.groups]
    best_of, batch, seed = draw(st.integers(1, 5)), draw(st.integers(1, 20)), draw(st.integers(0, 9))
    return replace(
        of, groups=groups, settings=replace(SETTINGS, best_of=best_of, batch_size=batch, seed=seed)
    )


@settings(max_examples=40, deadline=None)
@given(_tasks(), st.integers(1, 3))
def test_only_texts_of_other_sessions_stand_against_an_anchor(of: TrainingTask, epoch: int) -> None:
    seen = []
    for batch in ContrastObjective(of, of.vectors).batches(epoch):
        assert len(batch.anchors) <= of.settings.batch_size
        assert batch.texts.shape == (len(batch.anchors), of.settings.best_of)
        for i, anchor in enumerate(batch.anchors):
            seen.append((int(anchor), int(batch.texts[i, 0])))
            for j, line in enumerate(batch.texts):
                own = [text != anchor for text in line]
                free = [text != anchor and not of.groups[text] & of.groups[anchor] for text in line]
                assert batch.allowed[i, j].tolist() == (own if i == j else free)
            of_session = {row for row in range(32) if row // 4 == anchor // 4}
            assert set(batch.texts[i].tolist()) <= of_session
    assert sorted(seen) == sorted(zip(of.train.anchors.tolist(), of.train.positives.tolist(), strict=True))


@settings(max_examples=40, deadline=None)
@given(_tasks(), st.integers(1, 3))
def test_each_pair_that_has_a_negative_is_a_triplet_once_an_epoch(of: TrainingTask, epoch: int) -> None:
    alike = replace(of, groups=task(sessions=8, texts=4).groups)
    rows = np.hstack([batch.rows for batch in TripletObjective(alike).batches(epoch)])
    expected = zip(of.train.anchors.tolist(), of.train.positives.tolist(), strict=True)
    assert sorted(zip(*rows[:2].tolist(), strict=True)) == sorted(expected)
    assert (rows[2] // 4 != rows[0] // 4).all()
    assert set(rows[2].tolist()) <= set(pairs(range(6), 4).anchors.tolist())
