"""The remedy that a failed command prints is typed, and the command then succeeds."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.memory import FAST_RECIPE, Memory

from patina_hooks.store.log import LOG_FILE


def run(memory: Memory, command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", command],
        cwd=memory.root,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def fresh(memory: Memory) -> None:
    """Leave the repository without an index."""


def indexed(memory: Memory) -> None:
    memory.sync()


def log_as_fifo(memory: Memory) -> None:
    memory.sync()
    (memory.state / LOG_FILE).unlink()
    os.mkfifo(memory.state / LOG_FILE)


def damaged_log(memory: Memory) -> None:
    memory.sync()
    (memory.state / LOG_FILE).write_bytes(b"SQLite format 3\0" + b"x" * 4_000)


@pytest.mark.parametrize(
    ("plant", "command"),
    [
        (fresh, "patina scry marmots"),
        (fresh, "patina status"),
        (indexed, "patina scry --file Raedme.md"),
        (indexed, "patina session note 'marmots dig'"),
        (log_as_fifo, "patina sync"),
        (damaged_log, "patina sync"),
    ],
)
def test_command_succeeds_when_its_remedy_was_typed(
    tmp_path: Path, plant: Callable[[Memory], None], command: str
) -> None:
    memory = Memory.make(tmp_path / "a repository")
    memory.write(".patina/oxidize.yaml", FAST_RECIPE)
    memory.commit("begin with marmots", {"Readme.md": "x"})
    plant(memory)
    failed = run(memory, command)
    if failed.returncode == 0:
        assert plant is damaged_log, "a sync sets a damaged log aside itself"
        return
    remedy = failed.stderr.rpartition("try: ")[2].splitlines()[0]
    done = run(memory, remedy)
    assert done.returncode == 0, (remedy, done.stdout, done.stderr)
    again = run(memory, remedy if "--file" in command else command)
    assert again.returncode == 0, (remedy, again.stderr)


@pytest.mark.parametrize(
    ("command", "remedy"),
    [
        ("patina scry marmots --session 1999", "patina session list"),
        ("patina session show 1999", "patina session list"),
        ("patina scry marmots --ref nowhere", "git branch --all"),
    ],
)
def test_remedy_lists_what_can_be_named_when_a_name_is_unknown(
    tmp_path: Path, command: str, remedy: str
) -> None:
    memory = Memory.make(tmp_path / "repository")
    memory.commit("begin with marmots", {"Readme.md": "x"})
    memory.sync()
    failed = run(memory, command)
    assert failed.returncode != 0
    assert f"try: {remedy}\n" in failed.stderr
    assert run(memory, remedy).returncode == 0
