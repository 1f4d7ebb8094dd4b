"""The remark that no hit comes close to the question."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patina_hooks.search.remarks.closeness import Closeness, coverage

shares = st.floats(0, 1)


@pytest.mark.parametrize(
    ("similarity", "share", "texts", "is_close"),
    [(0.36, 0.07, 14_000, False), (0.47, 0.2, 14_000, False), (0.75, 0.3, 14_000, True),
     (0.57, 0.4, 14_000, True), (0.29, 0.04, 4_000, False), (0.46, 0.4, 4_000, True)],
)  # fmt: skip
def test_an_answer_is_far_when_neither_meaning_nor_words_come_close(
    similarity: float, share: float, texts: int, is_close: bool
) -> None:
    assert Closeness(similarity, share, texts).is_close(0.12) is is_close


@pytest.mark.parametrize(
    ("closeness", "random"),
    [(Closeness(None, 1.0, 99), 0.1), (Closeness(0.5, 1.0, 99), None), (Closeness(0.5, 1.0, 0), 0.1),
     (Closeness(0.1, 0.0, 31), 0.1)],
)  # fmt: skip
def test_nothing_is_said_when_it_cannot_be_told(closeness: Closeness, random: float | None) -> None:
    assert closeness.is_close(random) is None


@given(st.floats(-1, 1), shares, st.integers(32, 10**7), st.floats(-0.5, 0.9), st.floats(0, 0.05))
def test_a_closer_answer_is_never_judged_farther(
    similarity: float, share: float, texts: int, random: float, more: float
) -> None:
    if Closeness(similarity, share, texts).is_close(random):
        assert Closeness(similarity + more, min(1.0, share + more), texts).is_close(random)


def test_rare_and_unknown_words_count_most() -> None:
    terms = {"the": 900, "marmot": 3, "zzyzx": 0}
    assert coverage(terms, 1_000, [{"the"}]) < 0.02
    assert 0.4 < coverage(terms, 1_000, [{"the"}, {"marmot"}]) < 0.5
    assert coverage(terms, 1_000, [terms]) == pytest.approx(1.0)
    assert coverage({}, 1_000, [{"marmot"}]) == coverage(terms, 1_000, []) == 0.0
