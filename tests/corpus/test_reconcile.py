"""Reconcile: what leaves, what comes, and what a second look costs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from support.memory import Memory, session_document

from patina_hooks.git.repository import Repository

FIRST, SECOND = "20251101-090000", "20251102-090000"


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    memory = Memory.make(tmp_path / "repository")
    memory.commit("begin", {"README.md": "x"})
    memory.archive(FIRST, title="about sqlite", decisions="chose sqlite")
    memory.sync()
    return memory


def texts(memory: Memory) -> set[str]:
    memory.sync()
    with memory.log() as log:
        return {row[0] for row in log.execute("SELECT text FROM observation WHERE live")}


def test_an_amended_commit_replaces_the_old_one(memory: Memory) -> None:
    memory.commit("a slip of the pen")
    assert "a slip of the pen" in texts(memory)
    memory.git("commit", "-q", "--amend", "--allow-empty", "-m", "as it was meant")
    assert "a slip of the pen" not in texts(memory)
    assert "as it was meant" in texts(memory)
    assert memory.snapshot() == memory.rebuilt()


def test_a_document_that_changes_on_one_branch_is_there_in_both_forms(memory: Memory) -> None:
    path = f"layer/sessions/{FIRST}.md"
    memory.git("switch", "-q", "-c", "side")
    memory.commit("rewrite", {path: session_document(FIRST, title="about numpy", decisions="chose numpy")})
    assert {"chose sqlite", "chose numpy"} <= texts(memory)
    memory.git("branch", "-q", "-f", "main", "side")
    assert "chose sqlite" not in texts(memory)
    assert "chose numpy" in texts(memory)
    assert memory.snapshot() == memory.rebuilt()


def test_a_document_that_is_renamed_is_not_lost(memory: Memory) -> None:
    memory.git("mv", f"layer/sessions/{FIRST}.md", f"layer/sessions/{SECOND}.md")
    memory.commit("rename")
    assert "chose sqlite" in texts(memory)
    with memory.log() as log:
        assert log.execute("SELECT id FROM session").fetchall() == [(SECOND,)]
    assert memory.snapshot() == memory.rebuilt()


def test_a_document_that_only_a_session_tag_reaches_counts(memory: Memory) -> None:
    memory.git("switch", "-q", "-c", "side")
    memory.archive(SECOND, decisions="chose a side")
    memory.git("tag", "-a", "-m", "x", f"session-{SECOND}-end")
    memory.git("switch", "-q", "main")
    memory.git("branch", "-q", "-D", "side")
    assert "chose a side" in texts(memory)
    memory.git("tag", "-d", f"session-{SECOND}-end")
    assert "chose a side" not in texts(memory)
    assert memory.snapshot() == memory.rebuilt()


def test_drafts_are_searched_and_left_out_of_hash_and_pairs(memory: Memory) -> None:
    before = memory.snapshot()
    memory.write(
        f"layer/sessions/{SECOND}.md",
        session_document(SECOND, goals="a goal", decisions=("draft decision one", "draft decision two")),
    )
    assert "draft decision one" in texts(memory)
    after = memory.snapshot()
    assert (after.events_hash, after.pairs) == (before.events_hash, before.pairs)
    (memory.root / f"layer/sessions/{SECOND}.md").unlink()
    memory.sync()
    assert memory.snapshot() == before


def test_paths_of_commits_are_kept_with_their_status(memory: Memory) -> None:
    memory.commit("three files", {"a": "1", "b/c": "2"})
    memory.git("rm", "-q", "a")
    oid = memory.commit("and one less")
    memory.sync()
    with memory.log() as log:
        rows = log.execute(
            "SELECT p.path, h.status FROM change h JOIN path p ON p.id = h.path_id"
            " JOIN commits c ON c.id = h.commit_id WHERE c.oid = ?", (oid,)
        ).fetchall()  # fmt: skip
    assert rows == [("a", "D")]


def test_a_second_look_opens_no_object(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Repository, asked: Iterable[str], *__: object) -> Iterator[object]:
        assert list(asked) == []
        return iter(())

    for name in ("commits", "blobs", "tree", "peel"):
        monkeypatch.setattr(Repository, name, refuse)
    report = memory.sync()
    assert (report.commits, report.added, report.removed, report.sessions) == (0, 0, 0, 0)


def test_what_happened_is_in_the_log_in_order(memory: Memory) -> None:
    head = memory.git("rev-parse", "HEAD")
    memory.commit("to be dropped")
    memory.sync()
    memory.git("reset", "-q", "--hard", head)
    memory.sync()
    events = [(event.kind, event.detail) for event in memory.patina().events(limit=2)]
    assert events == [("gone", ""), ("commit", "to be dropped")]


def test_events_hash_depends_on_refs_alone(memory: Memory, tmp_path: Path) -> None:
    memory.git("tag", "-a", "-m", "x", f"session-{FIRST}-start", "HEAD~1")
    memory.sync()
    memory.git("clone", "-q", memory.root.as_uri(), str(tmp_path / "clone"))
    clone = Memory(tmp_path / "clone")
    clone.write(".patina/oxidize.yaml", "embedding_model: acme-64\n")
    clone.sync()
    assert clone.snapshot().events_hash == memory.snapshot().events_hash
    clone.git("tag", "-d", f"session-{FIRST}-start")
    clone.sync()
    assert clone.snapshot().events_hash != memory.snapshot().events_hash
