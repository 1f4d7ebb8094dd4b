"""A folder where git sees nothing of the machine: own identity, own settings, no hooks of others."""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.graphs import share_graphs

_CONFIG = """\
[user]
    name = Ada
    email = ada@example.org
[init]
    defaultBranch = main
[protocol "file"]
    allow = always
"""


@dataclass(frozen=True)
class Sandbox:
    """Git repositories under `folder`; `root` is the first, and where commands run."""

    folder: Path
    root: Path

    def git(
        self, *arguments: str, cwd: Path | None = None, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run git to the end with its output captured; the exit code is the test's to look at."""
        return subprocess.run(
            ["git", *arguments],
            cwd=cwd or self.root,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def out(self, *arguments: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
        """What git printed; fails the test where git failed."""
        done = self.git(*arguments, cwd=cwd, env=env)
        assert done.returncode == 0, done.stderr
        return done.stdout.rstrip("\n")

    def commit(
        self, *options: str, cwd: Path | None = None, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """An empty, quiet commit: whatever is printed was printed by a hook."""
        return self.git("commit", "-q", "--allow-empty", "-m", "x", *options, cwd=cwd, env=env)

    def write(self, path: str, content: str | bytes, mode: int | None = None) -> Path:
        """A file under `root`."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        if mode is not None:
            file.chmod(mode)
        return file


def make_sandbox(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str = "repository") -> Sandbox:
    """A sandbox with one empty repository. The environment is this test's alone."""
    for variable in list(os.environ):
        if variable.startswith(("GIT_", "PATINA_", "XDG_")) or variable == "CI":
            monkeypatch.delenv(variable)
    home = folder / "home"
    home.mkdir()
    share_graphs(home / ".cache")
    (home / ".gitconfig").write_text(_CONFIG)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    root = folder / name
    root.mkdir()
    sandbox = Sandbox(folder, root)
    sandbox.out("init", "-q")
    return sandbox


@dataclass(frozen=True)
class Recorder:
    """An interpreter that tells what it was started with, through a named pipe: no waiting by the clock."""

    path: Path
    pipe: Path

    def started(self) -> list[str]:
        """Arguments of the next worker, then its current folder; fails the test when none comes."""
        return self.text().split("\0")[:-1]

    def text(self) -> str:
        """What the next one writes to the pipe."""
        handle = os.open(self.pipe, os.O_RDONLY | os.O_NONBLOCK)
        try:
            ready, _, _ = select.select([handle], [], [], 60)
            assert ready, "no worker was started"
            os.set_blocking(handle, True)
            data = b""
            while chunk := os.read(handle, 65536):
                data += chunk
        finally:
            os.close(handle)
        return os.fsdecode(data)

    def release(self) -> None:
        """Let go of those whose story nobody asked for: they wait for a reader."""
        handle = os.open(self.pipe, os.O_RDONLY | os.O_NONBLOCK)
        self.pipe.unlink()
        os.close(handle)


@contextmanager
def make_recorder(folder: Path) -> Iterator[Recorder]:
    """A recorder in a folder whose name a shell would like to take apart."""
    odd = folder / "in ter'preter $x"
    odd.mkdir()
    recorder = Recorder(odd / "python", odd / "pipe")
    os.mkfifo(recorder.pipe)
    recorder.path.write_text('#!/bin/sh\nexec >"${0%/*}/pipe"\nprintf "%s\\0" "$@" "$PWD"\n')
    recorder.path.chmod(0o755)
    yield recorder
    recorder.release()
