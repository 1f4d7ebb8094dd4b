"""One history, many ways to have it: cut off, without blobs, in other formats and orders, moved. The same
refs give the same memory, and nothing is ever fetched."""

from __future__ import annotations

import shutil
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from support.memory import FAST_RECIPE, Memory, Snapshot

from patina_hooks.store.log import Log

SESSION = "20251101-090000"
SECOND = "20251102-090000"


def document(session: str, words: str) -> dict[str, str | bytes]:
    text = f"# Session: {words}\n\n## Goals\n- [ ] {words}\n\n**Key Decisions:**\n- chose {words}\n"
    return {f"layer/sessions/{session}.md": text}


@pytest.fixture
def origin(tmp_path: Path) -> Memory:
    """Two sessions with commits, a branch that only a tag holds, a merge, a tag to a blob."""
    memory = Memory.make(tmp_path / "origin")
    memory.commit("begin", {".patina/oxidize.yaml": FAST_RECIPE})
    memory.git("tag", "-a", "-m", "x", f"session-{SESSION}-start")
    for number in range(4):
        memory.commit(f"parse the tree {number}", {"parse.py": str(number)})
    memory.git("tag", "-a", "-m", "x", f"session-{SESSION}-end")
    memory.commit("session: archive", document(SESSION, "sqlite over files"))
    memory.git("tag", "-a", "-m", "x", f"session-{SECOND}-claude-start")
    memory.git("switch", "-q", "-c", "side")
    memory.commit("fix crash in worker", {"worker.py": "fix"})
    memory.git("tag", "-a", "-m", "x", f"session-{SECOND}-claude-end")
    memory.commit("session: archive", document(SECOND, "one lock for the worker"))
    memory.git("switch", "-q", "main")
    memory.commit("docs", {"docs/a.md": "a"})
    memory.git("merge", "-q", "--no-ff", "-m", "merge side", "side")
    memory.git("switch", "-q", "-c", "lost")
    memory.commit("only a tag holds this")
    memory.git("tag", "session-20251103-090000-start")
    memory.git("switch", "-q", "main")
    memory.git("branch", "-q", "-D", "lost")
    blob = memory.git("hash-object", "-w", "--stdin", text="no commit")
    memory.git("update-ref", "refs/tags/session-20251104-120000-start", blob)
    return memory


def clone(origin: Memory, name: str, *options: str, url: str | None = None) -> Memory:
    folder = origin.root.with_name(name)
    origin.git("clone", "-q", *options, url or f"file://{origin.root}", str(folder), at=origin.root.parent)
    memory = Memory(folder)
    memory.git("config", "user.name", "Ada")
    memory.git("config", "user.email", "ada@example.invalid")
    return memory


def whole(memory: Memory) -> Snapshot:
    memory.sync()
    found = memory.snapshot()
    assert found == memory.rebuilt()
    return found


def count(memory: Memory, query: str) -> object:
    with closing(Log(memory.state, create=False)) as log:
        return log.connection.execute(query).fetchone()[0]


def test_clones_agree_whatever_the_order_of_arrival(origin: Memory) -> None:
    """One fetches all at once, one ref by ref with a sync after each, one in the opposite order."""
    expected = whole(clone(origin, "at-once"))
    refs = [line.split()[1] for line in origin.git("show-ref").splitlines()]
    for name, order in (("forth", refs), ("back", refs[::-1])):
        memory = Memory.make(origin.root.with_name(name))
        memory.git("remote", "add", "origin", str(origin.root))
        for ref in order:
            memory.git("fetch", "-q", "--no-tags", "origin", f"+{ref}:{ref}", "--update-head-ok")
            memory.sync()
        memory.git("reset", "-q", "--hard", "main")
        memory.git("branch", "-q", "-D", "side")  # a clone has origin's branches as remote refs only
        assert whole(memory) == expected


def test_a_shallow_clone_says_so_and_becomes_whole(origin: Memory) -> None:
    memory = clone(origin, "shallow", "--depth=2", "--no-single-branch")
    whole(memory)
    assert count(memory, "SELECT count(*) FROM commits WHERE truncated") != 0
    assert count(memory, "SELECT count(*) FROM change") != 0
    memory.git("fetch", "-q", "--deepen=2")
    whole(memory)
    memory.git("fetch", "-q", "--unshallow", "--tags")
    assert count(memory, "SELECT count(*) FROM commits") != 0
    assert whole(memory) == whole(clone(origin, "full"))
    assert count(memory, "SELECT count(*) FROM commits WHERE truncated") == 0


def test_a_border_that_moves_forward_lets_go_of_what_is_behind(origin: Memory) -> None:
    memory = clone(origin, "shallow", "--depth=1", "--branch=main", "--no-tags")
    whole(memory)
    for number in range(3):
        origin.commit(f"later {number}", {"later.py": str(number)})
    memory.git("fetch", "-q", "--depth=1", "--no-tags", "origin", "main")
    memory.git("reset", "-q", "--hard", "FETCH_HEAD")
    whole(memory)
    assert count(memory, "SELECT count(*) FROM commits") == 1


@pytest.mark.parametrize("kept", ["blob:none", "tree:0"])
def test_a_partial_clone_never_fetches(origin: Memory, kept: str) -> None:
    origin.git("config", "uploadpack.allowFilter", "true")
    origin.git("config", "uploadpack.allowAnySHA1InWant", "true")
    memory = clone(origin, "partial", f"--filter={kept}", "--no-checkout")
    before = packs(memory)
    memory.sync()
    assert packs(memory) == before
    assert count(memory, "SELECT count(*) FROM commits") == count(
        synced(clone(origin, "full")), "SELECT count(*) FROM commits"
    )
    skipped = "SELECT count(*) FROM source WHERE skipped = 'not in this clone'"
    assert count(memory, skipped) == (2 if kept == "blob:none" else 0)
    # What the user fetches is read, and what is then here is what a full clone has.
    memory.git("checkout", "-q", "main")
    memory.git("rev-list", "--objects", "--all", "--missing=allow-any")
    memory.git("log", "-p", "--all")
    assert whole(memory) == whole(clone(origin, "another"))


def packs(memory: Memory) -> set[Path]:
    return set((memory.root / ".git/objects").rglob("*"))


def synced(memory: Memory) -> Memory:
    memory.sync()
    return memory


def test_a_sha256_repository(tmp_path: Path) -> None:
    memory = Memory.make(tmp_path / "repository", "--object-format=sha256")
    memory.commit("begin", document(SESSION, "sqlite"))
    memory.write(f"layer/sessions/{SECOND}.md", "# Session: a draft\n- with a bullet\n")
    found = whole(memory)
    assert {len(str(row[1])) for row in found.documents} == {64}
    memory.git("add", "-A")
    memory.commit("archive")
    assert not any(row[3] for row in whole(memory).documents), "the draft has arrived"


def test_a_submodule_has_a_memory_of_its_own(origin: Memory, tmp_path: Path) -> None:
    outer = Memory.make(tmp_path / "outer")
    outer.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(origin.root), "inner")
    outer.commit("add a submodule")
    inner = Memory(outer.root / "inner")
    assert len(whole(outer).documents) == 1
    assert inner.state == outer.root / ".git/modules/inner/patina"
    assert whole(inner) == whole(clone(origin, "full"))


def test_folders_of_sessions_that_are_no_folder(origin: Memory) -> None:
    """A submodule, a file or a link in its place: no documents, no fault."""
    for number, mode in enumerate(("160000", "100644", "120000")):
        oid = (
            origin.git("rev-parse", "HEAD")
            if mode == "160000"
            else origin.git("hash-object", "-w", "--stdin", text="/etc")
        )
        memory = Memory.make(origin.root.with_name(f"odd-{number}"))
        memory.git("fetch", "-q", str(origin.root), "main")
        memory.git("hash-object", "-w", "--stdin", text="/etc")
        memory.git("update-index", "--add", "--cacheinfo", f"{mode},{oid},layer/sessions")
        memory.git("commit", "-q", "-m", "odd")
        assert {row[0] for row in whole(memory).documents} == {"commit"}


def test_detached_unborn_and_empty(tmp_path: Path) -> None:
    memory = Memory.make(tmp_path / "repository")
    assert whole(memory).documents == frozenset()
    memory.write(".patina/local/active/20251130-090000.md", "# Session: a draft\n- with a bullet\n")
    assert len(whole(memory).documents) == 1
    memory.commit("first")
    memory.git("checkout", "-q", "--detach")
    memory.commit("on no branch")
    assert len(whole(memory).documents) == 3
    memory.git("switch", "-q", "--orphan", "empty")
    assert len(whole(memory).documents) == 2, "what HEAD alone held is gone"
    memory.git("update-ref", "-d", "refs/heads/main")
    assert len(whole(memory).documents) == 1


def test_a_repository_that_moves_keeps_its_memory(origin: Memory) -> None:
    found = whole(origin)
    origin.git("worktree", "add", "-q", str(origin.root.with_name("tree")), "side")
    memory = Memory(origin.root.rename(origin.root.with_name("moved to, süß $HOME")))
    memory.git("worktree", "repair", str(origin.root.with_name("tree")))
    memory.sync()
    assert count(memory, "SELECT count(*) FROM event WHERE kind = 'gone'") == 0
    assert whole(memory) == found


def test_gc_and_repack_between_syncs(origin: Memory) -> None:
    whole(origin)
    origin.git("repack", "-q", "-a", "-d")
    whole(origin)
    origin.git("switch", "-q", "-c", "doomed")
    origin.commit("doomed work")
    whole(origin)
    origin.git("switch", "-q", "main")
    origin.git("branch", "-q", "-D", "doomed")
    origin.git("reflog", "expire", "--expire=now", "--all")
    origin.git("gc", "-q", "--prune=now", "--aggressive")
    found = whole(origin)
    assert not any("doomed" in str(row) for row in found.observations)


def test_a_force_push_is_followed(origin: Memory) -> None:
    memory = clone(origin, "follower")
    whole(memory)
    origin.git("reset", "-q", "--hard", "HEAD~2")
    origin.commit("another way", {"other.py": "x"})
    memory.git("fetch", "-q", "origin")
    memory.git("reset", "-q", "--hard", "origin/main")
    assert whole(memory) == whole(clone(origin, "fresh"))


def test_a_lost_state_is_made_again_from_the_same_refs(origin: Memory) -> None:
    found = whole(origin)
    shutil.rmtree(origin.state)
    assert whole(origin) == replace(found)
