"""What belongs to a file."""

from __future__ import annotations

import pytest
from support.memory import Memory

from patina_hooks.errors import UsageError
from patina_hooks.search.related import Companion, Visit

FIRST, SECOND = "20251101-090000", "20251102-090000"


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Memory:
    memory = Memory.make(tmp_path_factory.mktemp("related") / "repository")
    with_log = {"log.py": "1", "tests/test_log.py": "1"}
    memory.commit("begin", {"README.md": "1"})
    with memory.session(FIRST):
        memory.commit("the log", with_log)
        memory.commit("again", {**dict.fromkeys(with_log, "2"), "docs.md": "1"})
    memory.archive(FIRST, title="the log")
    with memory.session(SECOND):
        memory.commit("alone", {"log.py": "3"})
    memory.archive(SECOND, title="the log, again")
    memory.commit("everything", {"log.py": "4", **{f"many/{n}": "x" for n in range(60)}})
    memory.sync()
    return memory


def test_companions_weigh_more_in_small_commits(memory: Memory) -> None:
    found = memory.patina().related("log.py")
    assert (found.path, found.commits) == ("log.py", 4)
    assert found.companions == (Companion("tests/test_log.py", 2, 1.5), Companion("docs.md", 1, 0.5))


def test_sessions_that_touched_it_latest_first(memory: Memory) -> None:
    found = memory.patina().related("log.py")
    assert found.sessions == (Visit(SECOND, "the log, again", 1), Visit(FIRST, "the log", 2))


def test_all_commits_are_counted_though_the_latest_give_the_companions(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("patina_hooks.search.related._MOST_COMMITS", 3)
    found = memory.patina().related("log.py")
    assert (found.commits, found.companions[0].commits) == (4, 1)


def test_the_limit_holds_for_both(memory: Memory) -> None:
    found = memory.patina().related("log.py", limit=1)
    assert (len(found.companions), len(found.sessions)) == (1, 1)


@pytest.mark.parametrize(
    ("path", "near", "command"),
    [
        ("src/test_log.py", "similar: tests/test_log.py", "tests/test_log.py"),
        ("lgo.py", "similar: log.py", "log.py"),
        ("tests", "'tests' is a folder, not a file; it holds: tests/test_log.py", "tests/test_log.py"),
    ],
)
def test_related_suggests_recorded_paths_when_the_path_is_unknown(
    memory: Memory, monkeypatch: pytest.MonkeyPatch, path: str, near: str, command: str
) -> None:
    monkeypatch.chdir(memory.root / "tests")
    with pytest.raises(UsageError) as raised:
        memory.patina().related(path)
    assert near in str(raised.value)
    typed = raised.value.hint.removeprefix("patina scry --file ")
    assert (memory.root / "tests" / typed).resolve() == memory.root.resolve() / command


def test_related_names_the_given_path_in_its_hint_when_no_recorded_one_is_similar(memory: Memory) -> None:
    with pytest.raises(UsageError) as raised:
        memory.patina().related("no such/thing at all.xyz")
    assert raised.value.hint == "git log --oneline -- ':/no such/thing at all.xyz'"


def test_a_path_that_is_gone_is_still_known(memory: Memory) -> None:
    memory.git("rm", "-q", "docs.md")
    memory.commit("remove it")
    memory.sync()
    assert memory.patina().related("docs.md").commits == 2


def test_an_unknown_path_is_refused(memory: Memory) -> None:
    with pytest.raises(UsageError, match="no recorded commit touched 'nowhere'"):
        memory.patina().related("nowhere")
