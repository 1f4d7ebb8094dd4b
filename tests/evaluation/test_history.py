"""Copies of a commit, as amending, rebasing and cherry-picking leave them on other refs, are one commit."""

from __future__ import annotations

from pathlib import Path

import pytest
from evaluation.past import document, history_of, session_id
from evaluation.visible_sets import CANARY, by_vectors, by_words
from support.memory import Memory

from patina_hooks.evaluation.history import PastCommit
from patina_hooks.evaluation.query_sets.file_sets import mine_commit_files
from patina_hooks.evaluation.query_sets.session_sets import mine_commit_session

ASKED = f"teach the {CANARY} to turn the axle"
FIRST = session_id(1)


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    """A commit that asks, the last one of main, and a ref that keeps it."""
    memory = Memory.make(tmp_path / "repository")
    memory.commit("begin with three files", {"src/wheel.py": "0", "src/axle.py": "0", "src/brake.py": "0"})
    memory.commit("oil the brake", {"src/brake.py": "1"})
    memory.commit(ASKED, {"src/axle.py": "1"})
    memory.git("branch", "kept")
    return memory


def amend(memory: Memory, message: str, **files: str) -> None:
    for name, text in files.items():
        memory.write(f"src/{name}.py", text)
        memory.git("add", f"src/{name}.py")
    memory.git("commit", "-q", "--amend", "-m", message)


def texts(memory: Memory) -> list[str]:
    """The messages of the commits that say something of their paths."""
    return [commit.message for commit in history_of(memory).commits if not commit.bookkeeping]


def test_an_amended_copy_does_not_lead_a_question_to_its_files(memory: Memory) -> None:
    amend(memory, f"{CANARY}s are to turn it", axle="1")
    history = history_of(memory)
    (asks,) = (query for query in mine_commit_files(history).queries if CANARY in query.text)
    assert asks.text == ASKED
    assert by_words(history, mine_commit_files(history), asks) == set()
    assert by_vectors(mine_commit_files(history), asks) == set()


@pytest.mark.parametrize(
    ("message", "files"),
    [
        (f"{CANARY}s are to turn it", {}),
        (ASKED, {"axle": "2", "wheel": "1"}),
        (f"{ASKED}\n\nwith a body now", {}),
        ("both are other", {"wheel": "1"}),
    ],
    ids=["reworded", "more files", "a body", "both"],
)
def test_amended_copies_count_once(memory: Memory, message: str, files: dict[str, str]) -> None:
    amend(memory, message, **files)
    assert len(memory.git("rev-list", "--all").split()) == 4
    assert texts(memory) == ["begin with three files", "oil the brake", ASKED]


def test_a_reworded_cherry_pick_counts_once(memory: Memory) -> None:
    memory.git("checkout", "-q", "-b", "other", "kept~1")
    memory.commit("something else before it", {"src/wheel.py": "1"})
    memory.git("cherry-pick", "kept")
    amend(memory, "a name of its own")
    assert texts(memory) == ["begin with three files", "oil the brake", ASKED, "something else before it"]


def test_a_series_that_was_rebased_keeps_each_of_its_commits(memory: Memory) -> None:
    memory.commit("then turn the axle back", {"src/axle.py": "2"})
    memory.git("branch", "series")
    memory.git("checkout", "-q", "-b", "other", "kept~1")
    memory.commit("something else before it", {"src/wheel.py": "1"})
    memory.git("rebase", "-q", "other", "series")
    memory.git("checkout", "-q", "main")
    before = ["begin with three files", "oil the brake", ASKED, "then turn the axle back"]
    assert texts(memory) == [*before, "something else before it"]


def test_what_a_copy_adds_is_there_for_later_questions(memory: Memory) -> None:
    amend(memory, "both are other", gear="1")
    memory.commit("now see to the gear", {"src/gear.py": "2"})
    history = history_of(memory)
    mute = [commit for commit in history.commits if commit.bookkeeping]
    assert [(commit.message, commit.session, set(commit.paths)) for commit in mute] == [
        ("", None, {"src/axle.py", "src/gear.py"})
    ]
    found = mine_commit_files(history)
    (query,) = (query for query in found.queries if query.text == "now see to the gear")
    assert {found.units[unit] for unit in query.relevant} == {"src/gear.py"}


def test_commits_of_one_author_in_one_second_are_no_copies(memory: Memory) -> None:
    for number in range(3):
        memory.write("src/axle.py", f"same {number}")
        memory.git("add", ".")
        memory.clock = 1_800_000_000 - 60
        memory.git("commit", "-q", "-m", f"one of several at the same time, {number}")
    assert len(texts(memory)) == 6


def test_another_authors_commit_is_no_copy(memory: Memory) -> None:
    stamp = memory.git("log", "-1", "--format=%at +0000")
    amend(memory, f"{CANARY}s are to turn it")
    memory.git(
        "commit", "-q", "--amend", "--author", "Bob <b@example.invalid>", "--date", stamp, "-m", "other"
    )
    assert texts(memory)[-1] == "other"


def test_a_question_to_sessions_does_not_find_what_repeats_a_copy(memory: Memory) -> None:
    memory.git("checkout", "-q", "-b", "work", "kept~1")
    with memory.session(FIRST):
        memory.git("cherry-pick", "kept")
        amend(memory, "let the quodlibet be hummed by all")
    said = "- we made it so: let the quodlibet be hummed by all\n"
    memory.commit("archive", {f"layer/sessions/{FIRST}.md": document(1, FIRST, more=said)})
    history = history_of(memory)
    (commit,) = (commit for commit in history.commits if commit.message == ASKED)
    assert isinstance(commit, PastCommit)
    assert commit.ranges == (FIRST,), "by its copy"
    found = mine_commit_session(history)
    (query,) = (query for query in found.queries if query.text == ASKED)
    assert by_words(history, found, query, "quodlibet") == set()
    assert by_words(history, found, query, "glaciers") == {FIRST}
