"""`patina hook` finds the right spool from wherever git runs a hook, and writes nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.sandbox import Sandbox, make_sandbox

from patina_hooks.git.lock import SyncLock
from patina_hooks.upkeep.worker import WORKER_LOCK

_COMMAND = """
import sys
from patina_hooks.commands import main
sys.argv = ['patina', 'hook', 'post-merge', '0']
main()
"""


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    sandbox = make_sandbox(tmp_path, monkeypatch)
    assert sandbox.commit().returncode == 0
    return sandbox


def noted(at: Path, common: Path) -> str:
    """What the spool of a common dir says after a hook ran in a folder; no worker gets to it."""
    state = common / "patina"
    state.mkdir(mode=0o700)
    with SyncLock(state / WORKER_LOCK):
        done = subprocess.run([sys.executable, "-c", _COMMAND], cwd=at, capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")
    spool = state / "spool"
    return spool.read_text() if spool.exists() else ""


def test_at_the_top_and_below(sandbox: Sandbox) -> None:
    below = sandbox.root / "a/b"
    below.mkdir(parents=True)
    assert noted(below, sandbox.root / ".git") == "post-merge 0\n"


def test_a_linked_work_tree_tells_the_shared_one(sandbox: Sandbox) -> None:
    linked = sandbox.folder / "linked"
    sandbox.out("worktree", "add", "-q", str(linked))
    assert noted(linked, sandbox.root / ".git") == "post-merge 0\n"


def test_a_submodule_tells_its_own(sandbox: Sandbox) -> None:
    other = sandbox.folder / "other"
    sandbox.out("clone", "-q", str(sandbox.root), str(other))
    sandbox.out("submodule", "--quiet", "add", str(other), "inner")
    assert noted(sandbox.root / "inner", sandbox.root / ".git/modules/inner") == "post-merge 0\n"
    assert not (sandbox.root / ".git/patina").exists()


def test_outside_of_any_repository_nothing_happens(sandbox: Sandbox) -> None:
    outside = sandbox.folder / "outside"
    outside.mkdir()
    (outside / ".git").write_text("gitdir: ../nowhere\n")
    assert noted(outside, sandbox.root / ".git") == ""
    assert [path.name for path in outside.iterdir()] == [".git"]


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_a_stream_that_git_has_closed_is_not_noticed(sandbox: Sandbox, closed: int) -> None:
    streams = {stream: subprocess.PIPE for stream in (1, 2) if stream != closed}
    state = sandbox.root / ".git/patina"
    state.mkdir(mode=0o700)
    with SyncLock(state / WORKER_LOCK):
        done = subprocess.run(
            [sys.executable, "-c", _COMMAND.replace("main", "run")], cwd=sandbox.root, check=False,
            stdout=streams.get(1), stderr=streams.get(2), preexec_fn=lambda: os.close(closed),
        )  # fmt: skip
    assert (done.returncode, done.stdout or b"", done.stderr or b"") == (0, b"", b"")
    assert (state / "spool").read_text() == "post-merge 0\n"
