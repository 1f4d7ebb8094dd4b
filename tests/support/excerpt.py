"""The repository of `make demo`: the excerpt of real history, with its memory and the default model."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from support.marked import ROOT

from patina_hooks.git import spool
from patina_hooks.git.lock import SYNC_LOCK, SyncLock

_SCRIPTS = sysconfig.get_path("scripts")


@dataclass(frozen=True, slots=True)
class Place:
    """A repository to type commands in; `patina` and `python` are those of the tests."""

    root: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(self, command: str | Sequence[str], **more: str) -> str:
        """What a command printed; text is run by the shell, which stops at the first failure."""
        words = ["sh", "-eu", "-c", command] if isinstance(command, str) else list(command)
        done = subprocess.run(
            words, cwd=self.root, env={**clean_environment(), **self.environment, **more},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, encoding="utf-8", check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        # pytest shows it when the test fails later, on what was printed.
        sys.stderr.write(done.stderr)
        return done.stdout

    def settle(self) -> None:
        """Until a worker has dealt with all that hooks noted."""
        state = self.root / ".git" / "patina"
        deadline = time.monotonic() + 120
        while state.is_dir():
            with SyncLock(state / SYNC_LOCK):
                if not spool.pending_bytes(state):
                    return
            assert time.monotonic() < deadline, "no worker came"
            time.sleep(0.02)

    def copy(self, root: Path, **environment: str) -> Place:
        """The same repository and memory in another place."""
        shutil.copytree(self.root, root, symlinks=True)
        return Place(root, {**self.environment, **environment})


def clean_environment() -> dict[str, str]:
    """This process's environment without what would steer git, patina or a CI system's switch."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("GIT_", "PATINA_")) and name not in ("CI", "COLUMNS")
    }
    path = os.pathsep.join([_SCRIPTS, kept.get("PATH", "")])
    return {**kept, "PATH": path, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}


def build_excerpt(root: Path) -> Place:
    """The repository alone."""
    place = Place(root)
    command = [sys.executable, "-m", "examples.demo.history", str(root)]
    subprocess.run(command, cwd=ROOT, env=clean_environment(), check=True)
    return place
