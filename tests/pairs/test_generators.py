"""Pair generators: pure, linear, and of one session alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patina_hooks.pairs.generators import commit_session, goal_observation, same_session
from patina_hooks.types import Observation, Pair, Recorded, SessionUnit

Generator = Callable[[SessionUnit], Iterator[Pair]]
KINDS = ("decision", "pattern", "work", "goal", "context", "text")


def recorded(number: int, kind: str, text: str, commit: str | None = None) -> Recorded:
    return Recorded(f"{number:032x}", Observation(kind, text, number + 1, weight=0.5), "d", "s", commit)


@st.composite
def units(draw: st.DrawFn) -> SessionUnit:
    said = draw(st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from("abcdef")), max_size=12))
    document = tuple(recorded(number, kind, text) for number, (kind, text) in enumerate(said))
    commits = draw(st.lists(st.sampled_from("abc"), max_size=3))
    return SessionUnit(
        "s", document, tuple((oid, (recorded(100 + n, "commit", oid, oid),)) for n, oid in enumerate(commits))
    )


@pytest.mark.parametrize("generate", [same_session, goal_observation, commit_session])
@given(unit=units())
def test_pairs_join_different_texts_of_the_session(generate: Generator, unit: SessionUnit) -> None:
    said = {one.id: one for one in (*unit.document, *(one for _, found in unit.commits for one in found))}
    pairs = list(generate(unit))
    assert pairs == list(generate(unit))
    for pair in pairs:
        anchor, positive = said[pair.anchor].observation, said[pair.positive].observation
        assert anchor.text != positive.text
        assert positive.kind in ("decision", "pattern", "work")
        assert pair.negative is None
        assert 0 < pair.weight <= 1
        assert "session s" in pair.evidence
    assert all(count <= 4 for count in Counter(pair.anchor for pair in pairs).values())


def test_each_kind_has_its_anchors() -> None:
    unit = SessionUnit(
        "s",
        (recorded(1, "goal", "aim"), recorded(2, "decision", "one"), recorded(3, "work", "two")),
        (("c" * 40, (recorded(9, "commit", "message", "c" * 40),)),),
    )
    names = {one.id: one.observation.text for one in (*unit.document, *unit.commits[0][1])}

    def joined(generate: Generator) -> set[tuple[str, str]]:
        return {(names[pair.anchor], names[pair.positive]) for pair in generate(unit)}

    assert joined(same_session) == {("one", "two"), ("two", "one")}
    assert joined(goal_observation) == {("aim", "one"), ("aim", "two")}
    assert joined(commit_session) == {("message", "one"), ("message", "two")}
    assert {pair.weight for pair in commit_session(unit)} == {0.5}
    assert {pair.evidence for pair in commit_session(unit)} == {
        f"commit {'c' * 40} in the tag range of session s"
    }


def test_a_long_session_has_a_few_pairs_for_each() -> None:
    unit = SessionUnit("s", tuple(recorded(number, "work", f"item {number}") for number in range(2_000)), ())
    assert len(list(same_session(unit))) == 4 * 2_000
