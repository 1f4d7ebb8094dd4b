"""What everybody waits for imports nothing heavy: fresh processes, and what they loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.sandbox import Sandbox, make_sandbox

from patina_hooks.git.lock import SyncLock
from patina_hooks.git.repository import Repository
from patina_hooks.system.files import make_private
from patina_hooks.upkeep.worker import WORKER_LOCK

HEAVY = ("numpy", "onnxruntime", "tokenizers", "torch", "mlx", "git")
_COMMAND = """
import sys
sys.argv = ["patina", *sys.argv[1:]]
from patina_hooks.commands import main
main()
"""
_WORKER = """
import sys
from patina_hooks.upkeep.worker import run_worker
run_worker(sys.argv[1:])
"""
_TELL = f"""
import atexit, sys
atexit.register(lambda: print(*(set(sys.modules) & {set(HEAVY)!r}), "end", file=sys.stderr))
"""


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    return make_sandbox(tmp_path, monkeypatch)


def loaded(code: str, *arguments: str, at: Path, **environment: str) -> str:
    """The heavy modules that were loaded when the process ended, and "end"."""
    done = subprocess.run(
        [sys.executable, "-c", _TELL + code, *arguments],
        cwd=at, env={**os.environ, **environment}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stderr.strip()


def test_importing_the_package(tmp_path: Path) -> None:
    assert loaded("import patina_hooks", at=tmp_path) == "end"


@pytest.mark.parametrize("command", ["--help", "--version", "plugins", "plugins --json", "session --help"])
def test_commands_that_say_what_there_is(tmp_path: Path, command: str) -> None:
    assert loaded(_COMMAND, *command.split(), at=tmp_path) == "end"


def test_a_worker_that_finds_another_at_work(sandbox: Sandbox) -> None:
    repository = Repository.open(sandbox.root)
    make_private(repository.state)
    with SyncLock(repository.state / WORKER_LOCK):
        assert loaded(_WORKER, str(repository.common), str(sandbox.root), at=sandbox.root) == "end"


def test_a_hook_that_is_switched_off(sandbox: Sandbox) -> None:
    assert loaded(_COMMAND, "hook", "post-commit", at=sandbox.root, PATINA_SKIP="1") == "end"


def test_a_hook_of_pre_commit(sandbox: Sandbox) -> None:
    """It asks git where the repository is, and goes; the worker that it starts loads what it needs."""
    common = sandbox.root / ".git"
    (common / "patina").mkdir(mode=0o700)
    with SyncLock(common / "patina" / WORKER_LOCK):
        assert loaded(_COMMAND, "hook", "post-commit", at=sandbox.root) == "end"
    assert (common / "patina/spool").read_text() == "post-commit\n"
