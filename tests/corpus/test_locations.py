"""Where session documents lie: in trees of tips and, as drafts, in work trees."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.memory import Memory

from patina_hooks.corpus.locations import find_skip_reason, read_draft
from patina_hooks.extract.session_source import session_of
from patina_hooks.git.repository import DOCUMENT_CAP, Blob

SESSION = "20251101-090000"
TEXT = f"# Session: x\n**ID**: {SESSION}\n\n## Goals\n- [ ] feed marmots\n"


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    memory = Memory.make(tmp_path / "repository")
    memory.commit("begin", {"README.md": "x"})
    return memory


def documents(memory: Memory) -> set[tuple[str, str | None, bool]]:
    memory.sync()
    with memory.log() as log:
        rows = log.execute("SELECT path, session, work_tree FROM document WHERE kind = 'session'")
        return {(path, session, bool(tree)) for path, session, tree in rows}


@pytest.mark.parametrize(
    ("name", "session"),
    [
        (f"{SESSION}.md", SESSION), ("20251101-090000-init.md", None), ("20251301-090000.md", None),
        ("notes.md", None), (f"{SESSION}", SESSION), ("2025110a-090000.md", None),
    ],
)  # fmt: skip
def test_a_file_name_tells_the_session(name: str, session: str | None) -> None:
    assert session_of(name) == session


def test_documents_of_every_branch_and_nothing_else(memory: Memory) -> None:
    folder = "layer/sessions"
    memory.commit("one", {f"{folder}/{SESSION}.md": TEXT, f"{folder}/notes.txt": TEXT, "other.md": TEXT})
    memory.git("switch", "-q", "-c", "side")
    memory.commit("two", {f"{folder}/hand written.md": TEXT, f"{folder}/deeper/x.md": TEXT})
    memory.git("switch", "-q", "main")
    assert documents(memory) == {
        (f"{folder}/{SESSION}.md", SESSION, False), (f"{folder}/hand written.md", None, False),
    }  # fmt: skip


def test_a_link_is_never_a_document(memory: Memory) -> None:
    (memory.root / "layer/sessions").mkdir(parents=True)
    (memory.root / "secret.md").write_text("# secret\n\n- words\n")
    (memory.root / f"layer/sessions/{SESSION}.md").symlink_to("../../secret.md")
    (memory.root / ".patina/local/active").mkdir(parents=True)
    (memory.root / ".patina/local/active/20251130-090000.md").symlink_to("../../secret.md")
    assert documents(memory) == set()
    memory.git("add", "-f", "layer")
    memory.commit("a link")
    assert documents(memory) == set()


def test_a_folder_that_is_a_link_is_not_entered(memory: Memory, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / f"outside/{SESSION}.md").write_text(TEXT)
    (memory.root / "layer").mkdir()
    (memory.root / "layer/sessions").symlink_to(tmp_path / "outside")
    assert documents(memory) == set()


def test_a_draft_becomes_a_document_and_only_that(memory: Memory) -> None:
    path = f"layer/sessions/{SESSION}.md"
    memory.write(path, TEXT)
    memory.write(".patina/local/active/20251130-090000.md", TEXT.replace(SESSION, "20251102-090000"))
    active = (".patina/local/active/20251130-090000.md", "20251102-090000", True)
    assert documents(memory) == {(path, SESSION, True), active}
    memory.git("add", "-f", path)
    memory.commit("archive")
    assert documents(memory) == {(path, SESSION, False), active}
    memory.write(path, TEXT + "- [ ] and more\n")
    assert documents(memory) == {(path, SESSION, False), (path, SESSION, True), active}


def test_a_checkout_with_other_line_ends_is_no_draft(memory: Memory) -> None:
    path = f"layer/sessions/{SESSION}.md"
    memory.commit("archive", {path: TEXT})
    memory.write(path, TEXT.replace("\n", "\r\n"))
    assert documents(memory) == {(path, SESSION, False)}


def test_a_draft_in_another_work_tree(memory: Memory, tmp_path: Path) -> None:
    memory.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "second"))
    memory.write(".patina/local/active/20251130-090000.md", TEXT, at=tmp_path / "second")
    assert documents(memory) == {(".patina/local/active/20251130-090000.md", SESSION, True)}
    memory.git("worktree", "remove", "--force", str(tmp_path / "second"))
    assert documents(memory) == set()


def test_a_draft_is_named_as_git_would_name_it(memory: Memory) -> None:
    memory.write("draft.md", TEXT)
    (blob,) = read_draft(memory.root, "draft.md", "sha1", DOCUMENT_CAP)
    assert (blob.oid, blob.data) == (memory.git("hash-object", "draft.md"), TEXT.encode())
    os.mkfifo(memory.root / "pipe.md")
    assert read_draft(memory.root, "pipe.md", "sha1", DOCUMENT_CAP) == []
    assert read_draft(memory.root, "absent.md", "sha1", DOCUMENT_CAP) == []


def test_a_draft_that_is_too_large_is_there_with_its_reason(memory: Memory) -> None:
    path = f"layer/sessions/{SESSION}.md"
    memory.write(path, TEXT + "x" * DOCUMENT_CAP)
    (blob,) = read_draft(memory.root, path, "sha1", DOCUMENT_CAP)
    assert (blob.oid, blob.data) == (memory.git("hash-object", path), None)
    assert documents(memory) == {(path, None, True)}
    ((what, why),) = memory.patina().status().skipped
    assert (what, why.partition(" (")[0]) == (path, "larger than 8 MiB")
    memory.git("add", "-f", path)
    memory.commit("archive")
    assert documents(memory) == {(path, SESSION, False)}


@pytest.mark.parametrize(
    ("blob", "reason"),
    [
        (Blob("a", 5, b"words"), ""),
        (Blob("a", -1, None), "not in this clone"),
        (Blob("a", 9_000_000, None), "larger than 8 MiB (9,000,000 bytes)"),
        (Blob("a", 3, b"a\0b"), "binary"),
        (Blob("a", 40, b"version https://git-lfs.github.com/spec/v1\n"), "a Git LFS pointer"),
    ],
)
def test_what_is_no_document_has_a_reason(blob: Blob, reason: str) -> None:
    assert find_skip_reason(blob, DOCUMENT_CAP) == reason
