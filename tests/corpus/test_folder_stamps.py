"""A quick look: what it must see all the same, and what it leaves to `patina sync`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.memory import Memory, session_document

from patina_hooks.corpus.folder_stamps import stamp_paths
from patina_hooks.git.repository import Repository

FIRST, SECOND = "20251101-090000", "20251102-090000"
ARCHIVED, ACTIVE = f"layer/sessions/{FIRST}.md", ".patina/local/active/20251130-090000.md"
START = f"session-{FIRST}-start"


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    memory = Memory.make(tmp_path / "repository")
    memory.commit("begin", {"README.md": "x"})
    memory.git("tag", START)
    memory.archive(FIRST, decisions="chose sqlite")
    memory.write(ACTIVE, session_document(SECOND, decisions="chose a draft"))
    memory.sync()
    settle(memory)
    return memory


def settle(memory: Memory) -> None:
    """Let some time pass since the last change, and have a look."""
    names = ["layer/sessions", ".patina/local/active", ACTIVE, ".git/packed-refs", ".git/refs/tags"]
    for path in [memory.root / name for name in names]:
        if path.exists():
            before = path.stat().st_mtime_ns - 10_000_000_000
            os.utime(path, ns=(before, before))
    memory.sync(quick=True)


def state(memory: Memory) -> tuple[set[str], set[str]]:
    with memory.log() as log:
        tags = {f"{name} {oid}" for name, oid in log.execute("SELECT name, oid FROM tip WHERE kind = 'tag'")}
        return tags, {row[0] for row in log.execute("SELECT text FROM observation WHERE live")}


def replaced(memory: Memory) -> None:
    path = memory.root / ARCHIVED
    other = path.with_name("new")
    other.write_text(session_document(FIRST, decisions="chose anew"))
    other.replace(path)


CHANGES: dict[str, Callable[[Memory], object]] = {
    "a tag": lambda memory: memory.git("tag", f"session-{FIRST}-end"),
    "a tag that moves": lambda memory: memory.git("tag", "-f", START, "HEAD"),
    "a tag that goes": lambda memory: memory.git("tag", "-d", START),
    "tags that are packed, and one more": lambda memory: (
        memory.git("pack-refs", "--all"),
        memory.git("update-ref", f"refs/tags/session-{SECOND}-start", "HEAD"),
    ),
    "a packed tag that goes": lambda memory: (
        memory.git("pack-refs", "--all"),
        memory.git("tag", "-d", START),
    ),
    "a draft": lambda memory: memory.write(f"layer/sessions/{SECOND}.md", "# Session: x\n\na draft\n"),
    "a draft that goes": lambda memory: (memory.root / ACTIVE).unlink(),
    "a draft that grows": lambda memory: memory.write(
        ACTIVE, session_document(SECOND, decisions="chose two")
    ),
    "a document that is replaced": replaced,
    "a document that goes": lambda memory: (memory.root / ARCHIVED).unlink(),
    "a commit that brings a document": lambda memory: memory.archive(SECOND, decisions="chose three"),
    "another commit at HEAD": lambda memory: memory.git("reset", "-q", "--hard", "HEAD~"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_quick_look_sees(memory: Memory, change: str) -> None:
    before = state(memory)
    CHANGES[change](memory)
    memory.sync(quick=True)
    quick = state(memory)
    memory.sync()
    assert state(memory) == quick
    if change != "a document that goes":  # the ref still has it
        assert quick != before


def test_a_quick_look_lists_no_tags_and_no_documents(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    listed: list[str] = []
    monkeypatch.setattr("patina_hooks.corpus.locations.list_drafts", lambda root, _: listed.append(str(root)))
    asked = Repository.list_refs

    def listing(self: Repository, *patterns: str) -> bytes:
        listed.extend(patterns)
        return asked(self, *patterns)

    monkeypatch.setattr(Repository, "list_refs", listing)
    oid = memory.commit("nothing of ours")
    memory.sync(quick=True)
    with memory.log() as log:
        assert log.execute("SELECT count(*) FROM commits WHERE oid = ?", (oid,)).fetchone() == (1,)
    assert listed == ["refs/heads/"]


def test_a_document_altered_in_place_is_seen_by_a_sync_or_an_hour_later(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    (memory.root / ARCHIVED).write_text(session_document(FIRST, decisions="chose anew"))
    memory.sync(quick=True)
    assert "chose anew" not in state(memory)[1]
    now = time.time_ns()
    with monkeypatch.context() as later:
        later.setattr("patina_hooks.corpus.folder_stamps.time.time_ns", lambda: now + 3_600_000_000_000)
        memory.sync(quick=True)
    assert "chose anew" in state(memory)[1]
    (memory.root / ARCHIVED).write_text(session_document(FIRST, decisions="chose once more"))
    memory.sync()
    assert "chose once more" in state(memory)[1]


def test_what_changed_this_very_moment_has_no_stamp(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert stamp_paths([path]) == stamp_paths([path]) != ""
    path.write_text("x")
    assert stamp_paths([path]) == ""
    os.utime(path, (1, 1))
    assert stamp_paths([path]) == stamp_paths([path]) != ""
