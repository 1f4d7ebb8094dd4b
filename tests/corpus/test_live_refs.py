"""LiveRefs: which session tags count, and what came and went in the commit graph."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.memory import Memory

from patina_hooks.git.repository import Repository


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    memory = Memory.make(tmp_path / "repository")
    memory.commit("begin", {"README.md": "x"})
    return memory


def tags(memory: Memory) -> dict[str, tuple[str | None, str | None, str | None, str]]:
    memory.sync()
    with memory.log() as log:
        rows = log.execute("SELECT name, session, adapter, side, skipped FROM tip WHERE kind = 'tag'")
        return {row[0].removeprefix("refs/tags/"): row[1:] for row in rows}


def commits(memory: Memory) -> set[str]:
    memory.sync()
    with memory.log() as log:
        return {row[0] for row in log.execute("SELECT oid FROM commits")}


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("session-20251101-090000-start", ("20251101-090000", None, "start", "")),
        ("session-20251101-090000-end", ("20251101-090000", None, "end", "")),
        ("session-20251101-090000-claude-start", ("20251101-090000", "claude", "start", "")),
        ("session-20251101-090000-open-code-end", ("20251101-090000", "open-code", "end", "")),
        ("session-20251101-090000-Claude-end", (None, None, None, "not a session tag's name")),
        ("session-20251101-090000", (None, None, None, "not a session tag's name")),
        ("session-2025-start", (None, None, None, "not a session tag's name")),
        ("session-20251301-090000-start", (None, None, None, "no such date")),
        ("session-20250229-250000-end", (None, None, None, "no such date")),
    ],
)
@pytest.mark.parametrize("options", [[], ["-a", "-m", "Session start: x"]], ids=["light", "annotated"])
def test_a_tag_is_read_by_its_name(
    memory: Memory, name: str, read: tuple[str | None, ...], options: list[str]
) -> None:
    memory.git("tag", *options, name)
    assert tags(memory) == {name: read}


def test_other_tags_are_none_of_ours(memory: Memory) -> None:
    memory.git("tag", "v1.0")
    memory.git("tag", "sessions-20251101-090000-start")
    assert tags(memory) == {}


def test_a_tag_of_no_commit_is_skipped_with_its_reason(memory: Memory) -> None:
    blob = memory.git("hash-object", "-w", "--stdin", text="x")
    memory.git("update-ref", "refs/tags/session-20251101-090000-start", blob)
    assert tags(memory)["session-20251101-090000-start"][3] == "tags no commit"


def test_a_tag_of_what_is_not_here_is_looked_at_again(memory: Memory) -> None:
    """A tag of no commit is settled; one whose object is absent is not: it may be fetched."""
    commit = memory.git("commit-tree", "-m", "x", "HEAD^{tree}")
    stored = memory.root / ".git/objects" / commit[:2] / commit[2:]
    away = stored.rename(memory.root / "away")
    text = f"object {commit}\ntype commit\ntag x\ntagger Ada <a@b> 1700000000 +0000\n\nx\n"
    tag = memory.git("hash-object", "-w", "-t", "tag", "--stdin", text=text)
    memory.git("update-ref", "refs/tags/session-20251101-090000-start", tag)
    assert tags(memory)["session-20251101-090000-start"][3] == "tags what is not in this clone"
    away.rename(stored)
    assert tags(memory)["session-20251101-090000-start"] == ("20251101-090000", None, "start", "")


def test_a_tag_of_no_commit_costs_the_next_sync_nothing(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob = memory.git("hash-object", "-w", "--stdin", text="x")
    memory.git("update-ref", "refs/tags/session-20251101-090000-start", blob)
    before = tags(memory)

    def refuse(*_: object) -> None:
        raise AssertionError("a tag was opened")

    monkeypatch.setattr(Repository, "peel", refuse)
    assert tags(memory) == before


def test_branches_that_come_and_go_take_their_commits_along(memory: Memory) -> None:
    begin = memory.git("rev-parse", "HEAD")
    memory.git("switch", "-q", "-c", "side")
    first = memory.commit("first")
    second = memory.commit("second")
    assert commits(memory) == {begin, first, second}
    memory.git("reset", "-q", "--hard", "HEAD~1")
    assert commits(memory) == {begin, first}
    memory.git("switch", "-q", "main")
    memory.git("branch", "-q", "-D", "side")
    assert commits(memory) == {begin}
    memory.git("branch", "side", second)
    assert commits(memory) == {begin, first, second}


def test_a_session_tag_keeps_what_no_branch_reaches(memory: Memory) -> None:
    begin = memory.git("rev-parse", "HEAD")
    memory.git("switch", "-q", "-c", "side")
    lost = memory.commit("lost")
    memory.git("tag", "session-20251101-090000-end")
    memory.git("switch", "-q", "main")
    memory.git("branch", "-q", "-D", "side")
    assert commits(memory) == {begin, lost}
    memory.git("tag", "-d", "session-20251101-090000-end")
    assert commits(memory) == {begin}


def test_a_detached_head_counts_in_every_work_tree(memory: Memory, tmp_path: Path) -> None:
    memory.git("worktree", "add", "-q", "--detach", str(tmp_path / "second"))
    memory.git("commit", "-q", "--allow-empty", "-m", "detached", at=tmp_path / "second")
    detached = memory.git("rev-parse", "HEAD", at=tmp_path / "second")
    assert detached in commits(memory)
    memory.git("worktree", "remove", "--force", str(tmp_path / "second"))
    assert detached not in commits(memory)


def test_old_tips_that_were_pruned_are_no_loss(memory: Memory) -> None:
    begin = memory.git("rev-parse", "HEAD")
    memory.commit("amended away")
    memory.sync()
    memory.git("reset", "-q", "--hard", begin)
    memory.git("reflog", "expire", "--expire=now", "--all")
    memory.git("gc", "-q", "--prune=now")
    fresh = memory.commit("fresh")
    assert commits(memory) == {begin, fresh}
    assert memory.snapshot() == memory.rebuilt()
