"""Questions about files: a commit finds them by what was known strictly before it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from evaluation.past import Past, history_of, session_id
from evaluation.visible_sets import CANARY, by_vectors, by_words, words_in
from support.memory import Memory

from patina_hooks.evaluation.query_sets.file_sets import mine_commit_files, mine_commit_files_cold
from patina_hooks.evaluation.query_sets.mining import MOST_QUERIES, MinedQuery, QueryFilter, QuerySet


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    memory = Memory.make(tmp_path / "repository")
    memory.commit("begin with three files", {"src/wheel.py": "0", "src/axle.py": "0", "src/brake.py": "0"})
    return memory


def asked(query_set: QuerySet, text: str) -> MinedQuery:
    (query,) = (query for query in query_set.queries if query.text == text)
    return query


def named(query_set: QuerySet, units: Iterable[int]) -> set[str]:
    return {query_set.units[unit] for unit in units}


def present(query_set: QuerySet, query: MinedQuery) -> set[str]:
    """The files that may answer it."""
    assert query.candidates is not None
    return named(query_set, np.flatnonzero(query.candidates.flags).tolist())


def test_a_message_asks_for_the_paths_that_were_there(memory: Memory) -> None:
    memory.commit("make the wheel rounder", {"src/wheel.py": "1", "src/new.py": "1"})
    found = mine_commit_files(history_of(memory))
    (query,) = found.queries
    assert named(found, query.relevant) == {"src/wheel.py"}
    assert present(found, query) == {"src/axle.py", "src/brake.py", "src/wheel.py"}


def test_neither_the_commit_itself_nor_anything_later_is_seen(memory: Memory) -> None:
    memory.commit("oil the axle with care", {"src/axle.py": "1"})
    memory.commit(f"let the {CANARY} turn the axle", {"src/axle.py": "2"})
    memory.commit(f"again the {CANARY} and its axle", {"src/axle.py": "3", f"src/{CANARY}.py": "1"})
    memory.commit("and now for the brake", {"src/brake.py": "1"})
    history = history_of(memory)
    found = mine_commit_files(history)
    own = asked(found, f"let the {CANARY} turn the axle")
    assert by_words(history, found, own) == set()
    assert by_vectors(found, own) == set()
    assert CANARY not in words_in(found, own).replace(f"src/{CANARY}.py", "")
    assert by_words(history, found, own, "oil care") == {"src/axle.py"}
    assert by_words(history, found, own, "brake") == {"src/brake.py"}, "by its path"
    last = asked(found, "and now for the brake")
    assert by_words(history, found, last) == {"src/axle.py", f"src/{CANARY}.py"}
    assert by_vectors(found, last) == {"src/axle.py", f"src/{CANARY}.py"}


def test_commits_of_the_same_second_do_not_see_each_other(memory: Memory) -> None:
    for number in range(2):
        memory.clock = 1_800_000_000 - 60 * (3 if number == 0 else 2)
        memory.write("src/axle.py", f"same {number}")
        memory.git("add", ".")
        memory.clock = 1_800_000_000 - 60
        memory.git("commit", "-q", "-m", f"a {CANARY} at the same time, {number}")
    history = history_of(memory)
    found = mine_commit_files(history)
    assert len({query.moment for query in found.queries}) == 1
    assert [by_words(history, found, query) for query in found.queries] == [set(), set()]


def test_files_that_are_gone_are_no_candidates(memory: Memory) -> None:
    memory.git("rm", "-q", "src/brake.py")
    memory.git("commit", "-q", "-m", "take the brake away")
    memory.commit("turn the wheel the other way", {"src/wheel.py": "2"})
    found = mine_commit_files(history_of(memory))
    query = asked(found, "turn the wheel the other way")
    assert present(found, query) == {"src/axle.py", "src/wheel.py"}


def test_commits_of_many_files_and_bookkeeping_neither_ask_nor_tell(memory: Memory) -> None:
    many = {f"lib/{number}.py": "0" for number in range(51)}
    memory.commit(f"import the {CANARY} library", {**many, "src/wheel.py": "1"})
    memory.commit("archive of the session", {f"layer/sessions/{session_id(1)}.md": "# Session: x\n"})
    memory.commit("archive of the session, mended", {f"layer/sessions/{session_id(1)}.md": "# Session: y\n"})
    memory.commit("mend the library a little", {"lib/7.py": "1"})
    history = history_of(memory)
    found = mine_commit_files(history)
    assert [query.text for query in found.queries] == ["mend the library a little"]
    (query,) = found.queries
    assert named(found, query.relevant) == {"lib/7.py"}, "it was there, though nothing tells of it"
    assert by_words(history, found, query) == set()


def test_baselines_count_what_was_touched_before(memory: Memory) -> None:
    memory.commit("first look at the axle", {"src/axle.py": "1"})
    memory.commit("second look at the axle", {"src/axle.py": "2"})
    memory.commit("then look at the brake", {"src/brake.py": "1"})
    memory.commit("and last at the wheel", {"src/wheel.py": "1"})
    found = mine_commit_files(history_of(memory))
    query = asked(found, "and last at the wheel")
    order = [found.units.index(f"src/{name}.py") for name in ("axle", "brake", "wheel")]
    assert found.popularity(query)[order].tolist() == [3, 2, 1]
    recency = found.recency(query)[order].tolist()
    assert recency[1] > recency[0] > recency[2] > 0


def test_cold_leaves_out_the_ten_hottest_files(memory: Memory) -> None:
    hot = {f"src/hot{number}.py": "0" for number in range(10)}
    memory.commit("begin with what is hot", hot)
    for turn in range(3):
        memory.commit(f"touch what is hot, {turn}", dict.fromkeys(hot, f"{turn}"))
    memory.commit("touch one of each kind", {"src/hot3.py": "x", "src/axle.py": "x"})
    found = mine_commit_files_cold(history_of(memory))
    assert not any("hot" in unit for unit in found.units)
    (query,) = found.queries
    assert named(found, query.relevant) == {"src/axle.py"}


def test_a_rebased_copy_of_a_commit_counts_once(memory: Memory) -> None:
    memory.git("checkout", "-q", "-b", "side")
    memory.commit(f"teach the {CANARY} to roll", {"src/axle.py": "1"})
    memory.git("checkout", "-q", "main")
    memory.commit("something else before it", {"src/brake.py": "1"})
    memory.git("cherry-pick", "side")
    history = history_of(memory)
    found = mine_commit_files(history)
    query = asked(found, f"teach the {CANARY} to roll")
    assert by_words(history, found, query) == set()


def test_at_most_so_many_questions_chosen_by_hash(past: Past) -> None:
    history = past.history()
    every, few = mine_commit_files(history), mine_commit_files(history, QueryFilter(most=7))
    assert len(every) == 2 * len(past.sessions)
    assert [query.moment for query in every.queries] == sorted(query.moment for query in every.queries)
    ids = [query.id for query in few.queries]
    assert ids == [query.id for query in every.queries if query.id in ids]
    assert set(ids) == set(sorted(query.id for query in every.queries)[:7])
    assert MOST_QUERIES == 300


def test_later_questions_are_as_many_as_are_wanted(past: Past) -> None:
    """Not what is later of those that would be chosen from all."""
    every = mine_commit_files(past.history())
    moment = every.queries[len(every) // 2].moment
    later = mine_commit_files(past.history(), QueryFilter(most=7, after=moment))
    assert len(later) == 7
    ids = sorted(query.id for query in every.queries if query.moment > moment)
    assert {query.id for query in later.queries} == set(ids[:7])
    assert (later.units, later.pieces) == (every.units, every.pieces)
