"""What is drawn: negatives that share nothing with their pair, orders that depend on seed and epoch alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from projection.small_trainings import pairs

from patina_hooks.specs.training import PairRows, TooLittleToLearn
from patina_hooks.training.trainers.sampling import (
    Membership,
    Negatives,
    Purpose,
    batches,
    random_generator,
    require_pairs,
    rows_of,
    usable_pairs,
)

Groups = list[frozenset[int]]
_GROUPS = st.lists(st.frozensets(st.integers(0, 6), max_size=3), min_size=1, max_size=24)


@st.composite
def _paired(draw: st.DrawFn) -> tuple[Groups, PairRows]:
    groups = draw(_GROUPS)
    rows = st.integers(0, len(groups) - 1)
    sides = draw(st.lists(st.tuples(rows, rows), min_size=1, max_size=30))
    anchors, positives = np.array(sides, np.intp).T
    return groups, PairRows(
        anchors, positives, np.ones(len(sides), np.float32), np.zeros(len(sides), np.intp)
    )


def _clash(groups: Groups, left: int, right: int) -> bool:
    return left == right or bool(groups[left] & groups[right])


@given(_paired(), st.integers(0, 99))
def test_a_negative_shares_neither_session_nor_text_and_is_found_where_there_is_one(
    given: tuple[Groups, PairRows], seed: int
) -> None:
    groups, some = given
    pool = rows_of(some)
    negatives = Negatives(Membership(groups), pool).draw(some, np.random.default_rng(seed))
    for anchor, positive, negative in zip(some.anchors, some.positives, negatives, strict=True):
        free = [row for row in pool if not _clash(groups, anchor, row) and not _clash(groups, positive, row)]
        assert negative in free if free else negative == -1


@given(_paired())
def test_what_clashes_is_what_shares_a_group_or_is_one_row(given: tuple[Groups, PairRows]) -> None:
    groups, some = given
    membership = Membership(groups)
    one_by_one = [_clash(groups, a, p) for a, p in zip(some.anchors, some.positives, strict=True)]
    assert membership.clash(some.anchors, some.positives).tolist() == one_by_one
    all_with_all = [[_clash(groups, a, p) for p in some.positives] for a in some.anchors]
    assert membership.clashes(some.anchors, some.positives).tolist() == all_with_all


def test_negatives_are_found_where_nearly_all_texts_are_of_one_session() -> None:
    groups = [frozenset({0})] * 5000 + [frozenset({1})]
    some = PairRows(np.array([0, 1]), np.array([2, 3]), np.ones(2, np.float32), np.zeros(2, np.intp))
    drawn = Negatives(Membership(groups), np.arange(5001)).draw(some, np.random.default_rng(0))
    assert drawn.tolist() == [5000, 5000]


@given(st.integers(0, 200), st.integers(1, 70))
def test_batches_are_a_partition_into_even_parts(count: int, size: int) -> None:
    parts = list(batches(np.arange(count), size))
    assert [row for part in parts for row in part] == list(range(count))
    lengths = {len(part) for part in parts}
    assert not lengths or (max(lengths) <= size and max(lengths) - min(lengths) <= 1)


def test_a_draw_depends_on_seed_epoch_and_purpose_alone() -> None:
    def first(seed: int, epoch: int, purpose: Purpose) -> float:
        return float(random_generator(seed, epoch, purpose).random())

    drawn = {(s, e, p): first(s, e, p) for s in (0, 1) for e in (0, 1) for p in Purpose}
    assert len(set(drawn.values())) == len(drawn)
    assert all(first(*of) == value for of, value in drawn.items())


def test_pairs_that_weigh_nothing_or_are_one_text_do_not_count() -> None:
    some = pairs(range(2), 3)
    some.weights[2:] = 0
    some.positives[1] = some.anchors[1]
    assert usable_pairs(some).anchors.tolist() == some.anchors[:1].tolist()
    some.weights[:] = 0
    with pytest.raises(TooLittleToLearn, match="no pairs"):
        require_pairs(some)
