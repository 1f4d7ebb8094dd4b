"""Pair generators: pure, linear, and of one scope alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patina_hooks.pairs.generators import (
    co_changed,
    commit_files,
    commit_session,
    context_session,
    goal_observation,
    same_module,
    same_session,
)
from patina_hooks.pairs.members import member_path, path_member
from patina_hooks.specs.plugins import CommitScope, ModuleScope, SessionScope
from patina_hooks.specs.values import Observation, Pair, Recorded

Generator = Callable[[SessionScope], Iterator[Pair]]
KINDS = ("decision", "pattern", "work", "goal", "context", "text")
PATHS = st.lists(st.sampled_from([f"src/{name}.rs" for name in "abcdefghijkl"]), max_size=12, unique=True)


def recorded(number: int, kind: str, text: str, commit: str | None = None, session: str = "s") -> Recorded:
    return Recorded(f"{number:032x}", Observation(kind, text, number + 1, weight=0.5), "d", session, commit)


def document(draw: st.DrawFn, first: int, session: str) -> tuple[Recorded, ...]:
    said = draw(st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from("abcdef")), max_size=12))
    return tuple(recorded(first + at, kind, text, session=session) for at, (kind, text) in enumerate(said))


@st.composite
def scopes(draw: st.DrawFn) -> SessionScope:
    commits = draw(st.lists(st.sampled_from("abc"), max_size=3))
    return SessionScope(
        "s",
        document(draw, 0, "s"),
        tuple((oid, (recorded(100 + n, "commit", oid, oid),)) for n, oid in enumerate(commits)),
        document(draw, 200, "r"),
        "r",
    )


@pytest.mark.parametrize("generate", [same_session, goal_observation, commit_session, context_session])
@given(scope=scopes())
def test_pairs_of_a_session_join_different_texts(generate: Generator, scope: SessionScope) -> None:
    said = {
        one.id: one
        for one in (*scope.document, *(one for _, found in scope.commits for one in found), *scope.previous)
    }
    pairs = list(generate(scope))
    assert pairs == list(generate(scope))
    for pair in pairs:
        anchor, positive = said[pair.anchor], said[pair.positive]
        assert anchor.observation.text != positive.observation.text
        assert positive.observation.kind in ("decision", "pattern", "work")
        assert (anchor.session, positive.session) == ("s", "r" if generate is context_session else "s")
        assert pair.negative is None
        assert 0 < pair.weight <= 1
    assert all(count <= 4 for count in Counter(pair.anchor for pair in pairs).values())


def test_each_kind_of_a_session_has_its_anchors() -> None:
    scope = SessionScope(
        "s",
        (
            recorded(1, "goal", "aim"), recorded(2, "decision", "one"), recorded(3, "work", "two"),
            recorded(4, "context", "before that"),
        ),
        (("c" * 40, (recorded(9, "commit", "message", "c" * 40),)),),
        (recorded(20, "pattern", "three", session="r"), recorded(21, "goal", "old aim", session="r")),
        "r",
    )  # fmt: skip
    everything = (*scope.document, *scope.commits[0][1], *scope.previous)
    names = {one.id: one.observation.text for one in everything}

    def joined(generate: Generator) -> set[tuple[str, str]]:
        return {(names[pair.anchor], names[pair.positive]) for pair in generate(scope)}

    assert joined(same_session) == {("one", "two"), ("two", "one")}
    assert joined(goal_observation) == {("aim", "one"), ("aim", "two")}
    assert joined(commit_session) == {("message", "one"), ("message", "two")}
    assert joined(context_session) == {("before that", "three")}
    assert {pair.weight for pair in commit_session(scope)} == {0.5}


def test_a_long_session_has_a_few_pairs_for_each() -> None:
    scope = SessionScope(
        "s", tuple(recorded(number, "work", f"item {number}") for number in range(2_000)), ()
    )
    assert len(list(same_session(scope))) == 4 * 2_000


@given(paths=PATHS)
def test_paths_of_a_commit_share_its_weight(paths: list[str]) -> None:
    scope = CommitScope("c" * 40, (), tuple(sorted(paths)))
    pairs = list(co_changed(scope))
    partners = min(4, max(0, len(paths) - 1))
    assert Counter(pair.anchor for pair in pairs) == {
        path_member(path): partners for path in paths if partners
    }
    for pair in pairs:
        assert pair.anchor != pair.positive
        assert member_path(pair.positive) in paths
        assert pair.weight == 1 / (len(paths) - 1)


@given(paths=PATHS, path=st.sampled_from(["src/new.rs", "src/a"]))
def test_a_path_that_joins_a_folder_moves_its_neighbours_alone(paths: list[str], path: str) -> None:
    before = set(same_module(ModuleScope("src", tuple(sorted(paths)))))
    after = set(same_module(ModuleScope("src", tuple(sorted([*paths, path])))))
    new = {pair for pair in after - before if path_member(path) not in (pair.anchor, pair.positive)}
    assert not new
    assert len(before - after) <= 10  # four places before it lose one partner each, in the order of four
    assert {pair.weight for pair in after} <= {1.0}


def test_a_message_is_joined_with_what_it_changed() -> None:
    body = Recorded("b" * 32, Observation("body", "in two files", 3, weight=0.5), "d", None, "c" * 40)
    subject = Recorded("a" * 32, Observation("commit", "parse", 1), "d", None, "c" * 40)
    pairs = list(commit_files(CommitScope("c" * 40, (subject, body), ("a.rs", "b.rs"))))
    assert {(pair.anchor, member_path(pair.positive), pair.weight) for pair in pairs} == {
        ("a" * 32, "a.rs", 1.0), ("a" * 32, "b.rs", 1.0), ("b" * 32, "a.rs", 0.5), ("b" * 32, "b.rs", 0.5),
    }  # fmt: skip
    many = CommitScope("c" * 40, (subject,), tuple(f"{number}.rs" for number in range(50)))
    assert len(list(commit_files(many))) == 4
    assert list(commit_files(CommitScope("c" * 40, (subject,), ()))) == []
