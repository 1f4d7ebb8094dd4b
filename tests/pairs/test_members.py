"""Sides of pairs: a path's name goes there and back, and its text is found by its words."""

from __future__ import annotations

import doctest

from hypothesis import given
from hypothesis import strategies as st

from patina_hooks.pairs import members


@given(path=st.text())
def test_a_path_there_and_back(path: str) -> None:
    assert members.member_path(members.path_member(path)) == path


@given(key=st.binary(min_size=16, max_size=16))
def test_the_id_of_an_observation_is_no_path(key: bytes) -> None:
    assert members.member_path(key.hex()) is None


def test_the_examples() -> None:
    results = doctest.testmod(members)
    assert (results.failed, results.attempted > 2) == (0, True)
