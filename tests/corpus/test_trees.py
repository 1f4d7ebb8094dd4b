"""Trees of documents at many tips: only what changed is asked of git, and answers equal a rebuild."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.memory import Memory

from patina_hooks.corpus import locations
from patina_hooks.git.repository import Blob, Repository

FIRST, SECOND, THIRD = "20251101-090000", "20251102-090000", "20251103-090000"
MANY = 60


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    memory = Memory.make(tmp_path / "repository")
    memory.commit("begin with marmots")
    memory.archive(FIRST, decisions="marmots are parsed")
    for number in range(MANY):
        memory.git("branch", f"b{number}", "HEAD~1" if number % 2 else "HEAD")
    memory.sync()
    return memory


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The expressions that git is asked for."""
    expressions: list[str] = []
    names = Repository.object_ids

    def record(self: Repository, wanted: list[str]) -> list[str | None]:
        expressions.extend(wanted)
        return names(self, wanted)

    monkeypatch.setattr(Repository, "object_ids", record)
    return expressions


def test_one_tree_is_asked_for_when_one_of_many_branches_moved(memory: Memory, asked: list[str]) -> None:
    head = memory.commit("feed the marmots")
    memory.sync(quick=True)
    # The folder of sessions in the tree that moved, and the whole tree for the pages of HEAD.
    assert asked[-2:] == [f"{head}:layer/sessions", f"{head}:"]
    assert not [name for name in asked[:-2] if name.endswith((":", ":layer/sessions"))]


def test_few_files_are_read_when_a_document_is_archived(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        memory.archive(f"20251104-0900{number:02}", decisions=f"decision {number}")
    old = 1_600_000_000
    for path in (memory.root / "layer/sessions").iterdir():
        os.utime(path, (old, old))
    memory.sync()
    read: list[str] = []
    read_draft = locations.read_draft

    def record(root: Path, path: str, object_format: str, largest: int) -> list[Blob]:
        read.append(path)
        return read_draft(root, path, object_format, largest)

    monkeypatch.setattr(locations, "read_draft", record)
    memory.archive(SECOND, decisions="marmots are fed")
    memory.sync()
    assert read == [f"layer/sessions/{SECOND}.md"]
    assert memory.snapshot() == memory.rebuilt()


def test_documents_equal_a_rebuild_when_trees_come_and_go(memory: Memory) -> None:
    memory.git("switch", "-q", "-c", "side")
    memory.archive(SECOND, decisions="marmots are fed")
    memory.sync()
    assert memory.snapshot() == memory.rebuilt()
    memory.git("switch", "-q", "main")
    memory.git("mv", f"layer/sessions/{FIRST}.md", f"layer/sessions/{THIRD}.md")
    memory.commit("rename a document")
    memory.sync()
    assert memory.snapshot() == memory.rebuilt()
    for number in range(0, MANY, 2):
        memory.git("branch", "-q", "-D", f"b{number}")
    memory.git("branch", "-q", "-D", "side")
    memory.sync()
    assert memory.snapshot() == memory.rebuilt()
    with memory.log() as log:
        paths = {row[0] for row in log.execute("SELECT path FROM document WHERE kind = 'session'")}
    assert paths == {f"layer/sessions/{THIRD}.md"}


def test_a_document_that_becomes_a_link_leaves(memory: Memory) -> None:
    path = memory.root / f"layer/sessions/{FIRST}.md"
    text = path.read_text()
    path.unlink()
    path.symlink_to(text[:20].replace("\n", " "))
    memory.git("add", "-A")
    memory.commit("put a link in a document's place")
    for number in range(MANY):
        memory.git("branch", "-q", "-D", f"b{number}")
    memory.sync()
    assert memory.snapshot() == memory.rebuilt()


def test_merged_branches_are_covered_until_what_stands_on_them_is_gone(memory: Memory) -> None:
    def uncovered() -> set[str]:
        with memory.log() as log:
            return {row[0] for row in log.execute("SELECT target FROM tip_tree WHERE NOT covered")}

    first = memory.git("rev-parse", "HEAD")
    assert uncovered() == {first}
    second = memory.commit("feed the marmots")
    memory.sync()
    assert uncovered() == {second}
    memory.git("reset", "-q", "--hard", "HEAD~1")
    memory.sync()
    assert first in uncovered()
