"""The change token: a question goes without a sync only while nothing has changed that a sync would see."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.memory import Memory, open_model, plugins, session_document

from patina_hooks.config.settings import user_file
from patina_hooks.git import spool
from patina_hooks.git.repository import Repository
from patina_hooks.upkeep.change_token import is_unchanged
from patina_hooks.upkeep.sync import synchronise

SESSION = "20251101-090000"
DRAFT = ".patina/local/active/20251102-090000.md"
Change = Callable[[Memory, pytest.MonkeyPatch], object]


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    """A repository with a session, a draft and a branch, synced and then synced again with nothing to do."""
    memory = Memory.make(tmp_path / "repository")
    memory.commit("begin with marmots", {"README.md": "x"})
    memory.archive(SESSION, title="marmots parse", goals="parse marmots")
    memory.write(DRAFT, session_document("20251102-090000", title="a draft of marmots"))
    memory.git("branch", "side", "HEAD~1")
    settle(memory)
    return memory


def settle(memory: Memory) -> None:
    """Sync, let all that was written become old, and sync with nothing to do."""
    memory.sync()
    age(memory.root)
    memory.sync(quick=True)


def age(root: Path) -> None:
    """Date everything below a folder ten seconds back, as if so much time had passed."""
    for folder, _, files in os.walk(root, topdown=False):
        for path in (*(Path(folder, file) for file in files), Path(folder)):
            status = path.lstat()
            if time.time() - status.st_mtime < 5:
                os.utime(path, (status.st_atime, status.st_mtime - 10), follow_symlinks=False)


def replace_in_place(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"draft", b"drift"))


CHANGES: dict[str, Change] = {
    "commit": lambda memory, _: memory.commit("teach marmots"),
    "branch moved": lambda memory, _: memory.git("update-ref", "refs/heads/side", "HEAD"),
    "branch made": lambda memory, _: memory.git("branch", "deep/er/branch"),
    "branch deleted": lambda memory, _: memory.git("branch", "-D", "side"),
    "packed refs": lambda memory, _: memory.git("pack-refs", "--all"),
    "tag": lambda memory, _: memory.git("tag", f"session-{SESSION}-start"),
    "other branch": lambda memory, _: memory.git("checkout", "-q", "side"),
    "detached HEAD": lambda memory, _: memory.git("checkout", "-q", "--detach"),
    "work tree": lambda memory, _: memory.git("worktree", "add", "-q", "../second", "side"),
    "draft made": lambda memory, _: memory.write("layer/sessions/20251103-090000.md", "# new\n"),
    "draft edited": lambda memory, _: replace_in_place(memory.root / DRAFT),
    "draft removed": lambda memory, _: (memory.root / DRAFT).unlink(),
    "recipe": lambda memory, _: memory.write(".patina/oxidize.yaml", "version: 2\n"),
    "settings": lambda memory, _: memory.write(".patina/config.toml", ""),
    "user settings": lambda memory, _: memory.write("config.toml", "", at=make_folder(user_file().parent)),
    "environment": lambda _, patch: patch.setenv("PATINA_DISABLE_PLUGINS", "acme"),
    "installed": lambda memory, patch: patch.syspath_prepend(str(memory.root)),
    "event": lambda memory, _: spool.append_event(memory.state, spool.SpoolEvent("post-commit")),
    "vectors removed": lambda memory, _: next(memory.state.glob("vectors/*/*.json")).unlink(),
    "log removed": lambda memory, _: (memory.state / "log.db").unlink(),
}


def make_folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


@pytest.mark.parametrize("name", CHANGES)
def test_change_token_differs_when_something_changed(
    memory: Memory, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    assert is_unchanged(memory.repository)
    CHANGES[name](memory, monkeypatch)
    assert not is_unchanged(memory.repository)


def test_change_token_differs_in_a_second_work_tree_when_the_recipe_of_the_first_changed(
    tmp_path: Path,
) -> None:
    memory = Memory.make(tmp_path / "main")
    memory.commit("begin with marmots")
    memory.git("worktree", "add", "-q", str(tmp_path / "second"), "-b", "side")
    memory.sync()
    for folder in ("main", "second"):
        age(tmp_path / folder)
    second = Repository.open(tmp_path / "second")
    synchronise(second, quick=True, plugins=plugins(), open_model=open_model)
    assert is_unchanged(second)
    memory.write(".patina/oxidize.yaml", "version: 2\n")
    assert not is_unchanged(second)


def test_change_token_is_recorded_again_when_a_sync_finds_nothing_to_do(memory: Memory) -> None:
    memory.commit("teach marmots")
    memory.sync(quick=True)
    assert not is_unchanged(memory.repository), "what changed just now may change again unseen"
    settle(memory)
    assert is_unchanged(memory.repository)


def test_change_token_is_not_recorded_when_texts_wait_for_vectors(tmp_path: Path) -> None:
    memory = Memory.make(tmp_path / "repository")
    memory.commit("begin with marmots")
    memory.sync(most=0)
    age(memory.root)
    memory.sync(most=0, quick=True)
    assert not is_unchanged(memory.repository)


def test_change_token_is_not_recorded_when_a_sync_skipped_vectors(tmp_path: Path) -> None:
    memory = Memory.make(tmp_path / "repository")
    memory.commit("begin with marmots")
    memory.sync()
    age(memory.root)
    synchronise(memory.repository, quick=True, words_only=True, plugins=plugins(), open_model=open_model)
    assert not is_unchanged(memory.repository), "the vectors may be damaged"


def test_change_token_is_not_recorded_when_something_failed(memory: Memory) -> None:
    memory.write(".patina/oxidize.yaml", "embedding_model: no-such-model\n")
    settle(memory)
    assert not is_unchanged(memory.repository)


@pytest.mark.parametrize("content", [b"", b"\0", b"\xff" * 100, b"0" * 64 + b"\0/"])
def test_change_token_is_ignored_when_it_was_forged(memory: Memory, content: bytes) -> None:
    (memory.state / "unchanged").write_bytes(content)
    assert not is_unchanged(memory.repository)
