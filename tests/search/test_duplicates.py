"""Commits that repeat a subject are one hit, with the others counted."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from support.memory import Memory

from patina_hooks.search.query import Hit, Mode

MODES = get_args(Mode)
QUESTION = "teach the marmots to parse trees"


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    memory = Memory.make(tmp_path / "repository")
    memory.commit("begin with a burrow", {"README.md": "x"})
    for number, text in enumerate(("feed the badgers", "count the otters", "paint the burrow")):
        memory.commit(text, {f"{number}.py": "x"})
    return memory


def _search(memory: Memory, question: str = QUESTION, limit: int = 10, **filters: object) -> list[Hit]:
    return memory.patina().search(question, limit=limit, collections="history", **filters)  # type: ignore[arg-type]


def _marmots(hits: list[Hit]) -> list[Hit]:
    return [hit for hit in hits if "marmots" in hit.text]


def _repeat(memory: Memory) -> tuple[str, str, str, str]:
    """A change on a branch, its merge, its squash on another branch and its pick; gives their ids."""
    memory.git("switch", "-q", "-c", "topic")
    original = memory.commit("Teach the marmots to parse trees", {"parse.py": "1"})
    memory.git("switch", "-q", "main")
    message = "Merge pull request #12 from ada/topic\n\nTeach the marmots to parse trees"
    memory.git("merge", "-q", "--no-ff", "-m", message, "topic")
    merge = memory.git("rev-parse", "HEAD")
    memory.git("switch", "-q", "-c", "release", "HEAD~1")
    squash = memory.commit("teach the marmots to parse trees. (#12)\n\n* tests\n* docs", {"parse.py": "1"})
    memory.git("switch", "-q", "-c", "old", "HEAD~2")
    memory.git("cherry-pick", original)
    return original, merge, squash, memory.git("rev-parse", "HEAD")


@pytest.mark.parametrize("mode", MODES)
def test_a_subject_that_commits_repeat_is_one_hit_with_a_count(memory: Memory, mode: Mode) -> None:
    original, merge, squash, pick = _repeat(memory)
    memory.sync()
    (hit,) = _marmots(_search(memory, mode=mode))
    assert hit.commit == original
    assert (hit.also, hit.also_commits) == (3, (merge, squash, pick))


@pytest.mark.parametrize("mode", MODES)
def test_the_limit_counts_what_is_left_when_duplicates_are_collapsed(memory: Memory, mode: Mode) -> None:
    _repeat(memory)
    memory.sync()
    hits = _search(memory, f"{QUESTION}, feed the badgers", limit=2, mode=mode)
    assert sorted(hit.text for hit in hits) == ["Teach the marmots to parse trees", "feed the badgers"]


def test_what_a_filter_leaves_out_is_not_counted(memory: Memory) -> None:
    _, merge, squash, _ = _repeat(memory)
    memory.sync()
    (hit,) = _marmots(_search(memory, ref="release"))
    assert (hit.commit, hit.also) == (squash, 0)
    moment = int(memory.git("show", "-s", "--format=%ct", merge))
    (hit,) = _marmots(_search(memory, since=moment, ref="main"))
    assert (hit.commit, hit.also) == (merge, 0)


def test_a_revert_is_an_answer_of_its_own(memory: Memory) -> None:
    original = memory.commit("Teach the marmots to parse trees", {"parse.py": "1"})
    memory.git("revert", "--no-edit", original)
    memory.sync()
    assert [hit.also for hit in _marmots(_search(memory))] == [0, 0]


def test_a_commit_joins_the_session_that_says_the_same_and_sessions_stay_apart(memory: Memory) -> None:
    for session in ("20251101-090000", "20251102-090000"):
        memory.archive(session, title="a day", decisions="teach the marmots to parse trees")
    commit = memory.commit("Teach the marmots to parse trees", {"parse.py": "1"})
    memory.sync()
    hits = _marmots(_search(memory))
    assert {hit.session for hit in hits} == {"20251101-090000", "20251102-090000"}
    assert [hit.also_commits for hit in hits if hit.also] == [(commit,)]


def test_answers_are_the_same_when_the_index_is_built_from_nothing(memory: Memory) -> None:
    _repeat(memory)
    memory.sync()
    before = _search(memory)
    memory.sync(full=True)
    assert _search(memory) == before
