"""What a commit reaches, as the log tells it, is what git tells, for any graph and order of arrival."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.memory import Memory

from patina_hooks.git.repository import Repository
from patina_hooks.search.filters.filters import Filters
from patina_hooks.search.query import Query
from patina_hooks.specs.values import Commit
from patina_hooks.store.corpus import chains
from patina_hooks.store.corpus.chains import place_commits, read_reach, update_parents
from patina_hooks.store.corpus.commits import delete_commit, read_commit_row, store_commit
from patina_hooks.store.log import Log


@st.composite
def graphs(draw: st.DrawFn) -> list[set[int]]:
    """The parents of each commit by number: lines, roots, merges, octopuses and criss-crosses."""
    parents: list[set[int]] = []
    for number in range(draw(st.integers(1, 24))):
        lately = st.integers(max(0, number - 4), max(0, number - 1))
        some = st.sets(lately, max_size=4) | st.just({number - 1})
        parents.append(draw(some) if number else set())
    return parents


def name(number: int) -> str:
    return f"{number:040x}"


def numbered(number: int, parents: set[int]) -> Commit:
    return Commit(name(number), tuple(map(name, sorted(parents))), "Ada", 0, 0, "", ())


def ancestors(parents: list[set[int]], start: int) -> set[str]:
    waiting, seen = [start], {start}
    while waiting:
        new = parents[waiting.pop()] - seen
        seen |= new
        waiting += new
    return {name(number) for number in seen}


def reached(connection: sqlite3.Connection, oid: str) -> set[str] | None:
    reach = read_reach(connection, [oid])
    if reach is None:
        return None
    rows = connection.execute("SELECT oid, chain, position FROM commits WHERE chain IS NOT NULL").fetchall()
    return {oid for oid, chain, position in rows if position <= reach.get(chain, -1)}


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    return Memory.make(tmp_path / "repository")


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Log]:
    with Log(tmp_path_factory.mktemp("chains") / "patina") as log:
        yield log


@contextmanager
def trial(log: Log) -> Iterator[sqlite3.Connection]:
    """A transaction of which nothing stays."""
    log.connection.execute("BEGIN")
    try:
        yield log.connection
    finally:
        log.connection.rollback()


@given(parents=graphs(), data=st.data(), at_once=st.integers(1, 30))
@settings(max_examples=100, deadline=None)
def test_reach_is_that_of_a_walk_when_commits_arrive_and_leave_in_any_order(
    log: Log, parents: list[set[int]], data: st.DataObject, at_once: int
) -> None:
    numbers = range(len(parents))
    groups = data.draw(st.lists(st.integers(0, 2), min_size=len(parents), max_size=len(parents)))
    left = data.draw(st.sets(st.sampled_from(numbers)))
    gone = {number for number in numbers if {name(one) for one in left} & ancestors(parents, number)}
    with trial(log) as connection, pytest.MonkeyPatch.context() as patch:
        patch.setattr(chains, "_AT_ONCE", at_once)
        for group in range(3):
            arriving = data.draw(st.permutations([one for one in numbers if groups[one] == group]))
            for number in arriving:
                store_commit(connection, numbered(number, parents[number]))
            place_commits(connection)
            recorded = {name(one) for one in numbers if groups[one] <= group}
            for number in numbers:
                whole = ancestors(parents, number)
                assert reached(connection, name(number)) == (whole if whole <= recorded else None)
        for number in gone:
            row = read_commit_row(connection, name(number))
            assert row is not None
            delete_commit(connection, row)
        for number in gone:
            store_commit(connection, numbered(number, parents[number]))
        place_commits(connection)
        for number in numbers:
            assert reached(connection, name(number)) == ancestors(parents, number)


def test_reach_is_found_again_when_parents_of_a_recorded_commit_change(log: Log) -> None:
    with trial(log) as connection:
        for number, parents in enumerate([set(), {0}, {1}, {0}]):
            store_commit(connection, numbered(number, parents))
        place_commits(connection)
        update_parents(connection, numbered(1, {0}))
        assert reached(connection, name(2)) == {name(0), name(1), name(2)}
        update_parents(connection, numbered(1, set()))
        assert reached(connection, name(2)) is None
        place_commits(connection)
        assert reached(connection, name(2)) == {name(1), name(2)}
        assert reached(connection, name(3)) == {name(0), name(3)}


def test_a_merge_heavy_history_has_a_chain_per_branch(memory: Memory) -> None:
    memory.commit("begin")
    for number in range(5):
        memory.git("switch", "-q", "-c", f"side-{number}")
        memory.commit(f"work {number}")
        memory.commit(f"more work {number}")
        memory.git("switch", "-q", "main")
        memory.git("merge", "-q", "--no-ff", "-m", f"merge {number}", f"side-{number}")
    memory.sync()
    with memory.log() as log:
        (chain_count,) = log.execute("SELECT count(DISTINCT chain) FROM commits").fetchone()
        (edge_count,) = log.execute("SELECT count(*) FROM chain_edge").fetchone()
    assert chain_count <= 6
    assert edge_count <= 10


# --- the filter of a ref ------------------------------------------------------------------------


def allowed_commits(memory: Memory, ref: str, repository: Repository | None = None) -> set[str]:
    with memory.log() as log:
        rows = log.execute(
            "SELECT o.id, c.oid FROM observation o JOIN source s ON s.id = o.source_id"
            " JOIN commits c ON c.oid = s.oid WHERE o.live"
        ).fetchall()
        found = Filters(log).allowed(repository or memory.repository, Query("x", ref=ref), "layer/sessions")
        passing = found.among(row[0] for row in rows)
    return {oid for number, oid in rows if number in passing}


def recorded(memory: Memory) -> set[str]:
    with memory.log() as log:
        return {row[0] for row in log.execute("SELECT oid FROM commits")}


def test_a_ref_is_answered_without_a_walk_when_its_commit_is_recorded(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.commit("begin")
    memory.git("branch", "early")
    memory.commit("go on")
    memory.sync()
    expected = set(memory.git("rev-list", "early").split())

    def refuse(*_: object) -> None:
        raise AssertionError("git walks through the history")

    monkeypatch.setattr(Repository, "reachable", refuse)
    monkeypatch.setattr(Repository, "reachable_with_border", refuse)
    assert allowed_commits(memory, "early") == expected


@pytest.mark.parametrize("prune", [False, True], ids=["tips present", "a tip pruned"])
def test_a_ref_that_is_not_recorded_reaches_what_is_recorded_below_it(memory: Memory, prune: bool) -> None:
    memory.commit("begin")
    memory.git("switch", "-q", "-c", "side")
    memory.commit("work on the side")
    memory.git("switch", "-q", "main")
    below = memory.commit("go on")
    memory.sync()
    known = recorded(memory)
    memory.git("switch", "-q", "--detach", below)
    memory.commit("not recorded")
    memory.git("merge", "-q", "-m", "not recorded either", "side")
    memory.git("update-ref", "refs/remotes/origin/topic", "HEAD")
    memory.git("reset", "-q", "--hard", "HEAD~1")
    if prune:
        memory.git("update-ref", "refs/remotes/origin/topic", "HEAD")
        memory.git("branch", "-q", "-D", "side")
        memory.git("reflog", "expire", "--expire=now", "--all")
        memory.git("gc", "-q", "--prune=now")
    expected = known.intersection(memory.git("rev-list", "origin/topic").split())
    assert allowed_commits(memory, "origin/topic") == expected
    assert below in expected


def test_a_ref_reaches_what_it_reaches_in_git_when_commits_are_replaced_or_grafted(memory: Memory) -> None:
    first = memory.commit("begin")
    second = memory.commit("go on")
    memory.git("switch", "-q", "--orphan", "other")
    other = memory.commit("another root")
    memory.sync()
    memory.git("replace", "--graft", second, other)
    (memory.root / ".git/info/grafts").write_text(f"{second} {other}\n")
    assert allowed_commits(memory, "main") == {first, second}
    memory.sync()
    assert allowed_commits(memory, "main") == {first, second} == memory_of_nothing(memory, "main")


def memory_of_nothing(memory: Memory, ref: str) -> set[str]:
    """The commits that a ref reaches in a memory that is built from nothing."""
    kept = memory.state.with_name("patina-kept")
    memory.state.rename(kept)
    memory.sync()
    return allowed_commits(memory, ref)


def test_a_ref_follows_the_border_of_a_shallow_clone(memory: Memory, tmp_path: Path) -> None:
    """Two branches of which one ends at the border: deepened, it reaches what the other one holds."""
    memory.commit("begin")
    memory.commit("a base")
    memory.git("branch", "long")
    memory.commit("short 1")
    memory.commit("short 2")
    memory.git("clone", "-q", "--depth", "1", "--branch", "main", memory.root.as_uri(), str(tmp_path / "c"))
    clone = Memory(tmp_path / "c")
    for key, value in (("user.name", "Ada"), ("user.email", "ada@example.invalid"), ("gc.auto", "0")):
        clone.git("config", key, value)
    clone.git("fetch", "-q", "--depth", "2", "origin", "long:long")

    def assert_equal_to_git() -> None:
        known = recorded(clone)
        for ref in ("main", "long"):
            assert allowed_commits(clone, ref) == known.intersection(clone.git("rev-list", ref).split())

    clone.sync()
    assert_equal_to_git()
    for how in ("--deepen=1", "--depth=2", "--depth=1", "--unshallow"):
        clone.git("fetch", "-q", how, "origin", "main", "long")
        assert_equal_to_git()
        clone.sync()
        assert_equal_to_git()


def test_a_ref_reaches_what_is_recorded_when_a_first_sync_was_killed(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(6):
        memory.commit(f"change {number}")
    memory.git("branch", "early", "HEAD~4")
    monkeypatch.setattr("patina_hooks.corpus.reconcile._BATCH", 2)
    with monkeypatch.context() as patch:
        patch.setattr("patina_hooks.corpus.reconcile.place_commits", _kill)
        with pytest.raises(KeyboardInterrupt):
            memory.sync()
    known = recorded(memory)
    assert known
    for ref in ("main", "early"):
        assert allowed_commits(memory, ref) == known.intersection(memory.git("rev-list", ref).split())
    memory.sync()
    assert allowed_commits(memory, "early") == set(memory.git("rev-list", "early").split())


def _kill(*_: object) -> None:
    raise KeyboardInterrupt
