"""Stored pairs as they are shown, counted and read for training."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.memory import Memory

from patina_hooks.corpus.observations import text_key
from patina_hooks.errors import UsageError
from patina_hooks.pairs.members import path_text
from patina_hooks.pairs.stored import TrainingPair, training_pairs

FIRST, SECOND = "20251101-090000", "20251102-090000"
BUILT_IN = {
    "same_session", "goal_observation", "commit_session", "context_session", "co_changed", "commit_files",
    "same_module",
}  # fmt: skip
CONTEXT = "\n## Previous Session Context\nThe session before chose sqlite.\n"


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    memory = Memory.make(tmp_path / "repository")
    memory.commit("begin", {"README.md": "x"})
    with memory.session(FIRST):
        memory.commit("parse the tree", {"src/parseTree.py": "1", "src/walk.py": "1"})
    memory.archive(FIRST, goals="parse", decisions=("chose sqlite", "kept files"))
    memory.archive(SECOND, decisions="chose numpy")
    path = f"layer/sessions/{SECOND}.md"
    memory.commit("say more", {path: (memory.root / path).read_text() + CONTEXT})
    memory.sync()
    return memory


def trained(memory: Memory, *kinds: str) -> list[TrainingPair]:
    with memory.log() as log:
        return training_pairs(log, kinds or BUILT_IN)


def test_there_are_pairs_of_every_kind_and_status_counts_them(memory: Memory) -> None:
    status = memory.patina().status()
    assert status.pair_kinds.keys() == BUILT_IN
    assert sum(kind.count for kind in status.pair_kinds.values()) == status.pairs == len(trained(memory))
    for kind, stated in status.pair_kinds.items():
        pairs = trained(memory, kind)
        assert stated.count == len(pairs)
        assert stated.weight == pytest.approx(sum(pair.weight for pair in pairs), abs=1e-3)
        assert stated.since <= min(pair.moment for pair in pairs)
        assert stated.until >= max(pair.moment for pair in pairs)
    counts = [kind.count for kind in status.pair_kinds.values()]
    assert counts == sorted(counts, reverse=True)


def test_training_reads_keys_paths_sessions_and_times(memory: Memory) -> None:
    commit = memory.git("log", "-1", "--format=%H", "--grep=parse the tree")
    committed = int(memory.git("log", "-1", "--format=%ct", commit))
    (pair, other) = [pair for pair in trained(memory, "co_changed") if pair.scope == f"commit {commit}"]
    assert {pair.anchor_path, pair.positive_path} == {"src/parseTree.py", "src/walk.py"}
    assert pair.anchor == text_key(path_text(pair.anchor_path or ""))
    assert pair.anchor < other.anchor
    assert (pair.weight, pair.session, pair.moment) == (1.0, FIRST, committed)
    told = trained(memory, "context_session")
    assert {(pair.anchor, pair.positive) for pair in told} == {
        (text_key("The session before chose sqlite."), text_key("chose sqlite")),
        (text_key("The session before chose sqlite."), text_key("kept files")),
    }
    assert {(pair.scope, pair.session, pair.anchor_path) for pair in told} == {
        (f"session {SECOND}", SECOND, None)
    }
    module = [pair for pair in trained(memory, "same_module") if pair.scope == "module src"]
    assert {(pair.session, pair.moment) for pair in module} == {(None, committed)}


def test_a_pair_of_a_folder_is_as_old_as_its_younger_path(memory: Memory) -> None:
    oid = memory.commit("add", {"src/late.py": "1"})
    memory.sync()
    late = int(memory.git("log", "-1", "--format=%ct", oid))
    moments = {
        "late" in f"{pair.anchor_path} {pair.positive_path}": pair.moment
        for pair in trained(memory, "same_module")
        if pair.scope == "module src"
    }
    assert moments[True] == late > moments[False]


def test_what_came_in_another_order_is_trained_in_the_same(memory: Memory, tmp_path: Path) -> None:
    memory.git("clone", "-q", memory.root.as_uri(), str(tmp_path / "clone"))
    clone = Memory(tmp_path / "clone")
    clone.write(".patina/oxidize.yaml", (memory.root / ".patina/oxidize.yaml").read_bytes())
    tags = {name: clone.git("rev-parse", name) for name in clone.git("tag").split()}
    for name in tags:
        clone.git("tag", "-d", name)
    clone.git("reset", "-q", "--hard", "HEAD~3")
    clone.sync()
    for step in ("HEAD@{1}~1", "HEAD@{2}"):
        clone.git("reset", "-q", "--hard", step)
        clone.sync()
    for name, oid in tags.items():
        clone.git("update-ref", f"refs/tags/{name}", oid)
        clone.sync()
    assert clone.snapshot().events_hash == memory.snapshot().events_hash
    assert trained(clone) == trained(memory)


def test_pairs_are_shown_newest_first(memory: Memory) -> None:
    shown = memory.patina().pairs(limit=1_000)
    assert len(shown) == memory.patina().status().pairs
    commits = dict.fromkeys(pair.commit for pair in shown if pair.kind == "commit_files")
    assert list(commits) == memory.git("log", "--format=%H").split()
    sessions = [pair.session for pair in shown if pair.session]
    assert {pair.kind for pair in shown} == BUILT_IN
    assert set(sessions) == {FIRST, SECOND}
    (goal, *_) = memory.patina().pairs(kind="goal_observation", limit=1)
    assert (goal.session, goal.commit, goal.anchor) == (FIRST, None, "parse")
    assert goal.evidence == f"goals of session {FIRST}"
    with pytest.raises(UsageError, match="no generator makes pairs of the kind no such kind"):
        memory.patina().pairs(kind="no such kind")


def test_a_pair_from_a_message_names_its_commit(memory: Memory) -> None:
    commit = memory.git("log", "-1", "--format=%H", "--grep=parse the tree")
    for kind, session, evidence in (
        ("commit_session", FIRST, f"commit {commit} in the tag range of session {FIRST}"),
        ("commit_files", None, f"changed in commit {commit}"),
    ):
        shown = [pair for pair in memory.patina().pairs(kind=kind, limit=99) if pair.commit == commit]
        assert {(pair.session, pair.anchor, pair.evidence) for pair in shown} == {
            (session, "parse the tree", evidence)
        }
