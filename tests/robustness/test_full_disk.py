"""No space, no permission: git never notices, the error is clear, and the next sync with space finds all."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.memory import FAST_RECIPE, Memory
from support.workers import all_ended, wait_for_workers

from patina_hooks.git.hooks import install

PATINA = str(Path(sys.executable).with_name("patina"))


def document(words: str) -> str:
    bullets = "".join(f"- chose {words} for reason {number}\n" for number in range(60))
    return f"# Session: {words}\n\n**Key Decisions:**\n{bullets}"


def no_file_larger_than(size: int) -> None:
    """What the rest of the process writes beyond `size` fails, as on a disk that is full."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def run(memory: Memory, *command: str, size: int) -> subprocess.CompletedProcess[str]:
    """Run a command without space, and wait for what it started, a worker too."""
    with all_ended() as passed:
        return subprocess.run(
            command, cwd=memory.root, capture_output=True, text=True, check=False,
            pass_fds=(passed,), preexec_fn=lambda: no_file_larger_than(size),
        )  # fmt: skip


@pytest.fixture
def remembered(memory: Memory) -> Memory:
    memory.commit("recipe", {".patina/oxidize.yaml": FAST_RECIPE})
    memory.sync()
    memory.commit("archive", {"layer/sessions/20251101-090000.md": document("sqlite")})
    return memory


@pytest.mark.parametrize("size", [0, 1_000, 20_000, 60_000, 100_000, 200_000])
def test_a_sync_without_space_says_so_and_the_next_one_finds_all(remembered: Memory, size: int) -> None:
    before = remembered.git("rev-parse", "HEAD")
    done = run(remembered, PATINA, "sync", size=size)
    assert done.returncode in (0, 1), done.stderr
    assert "Traceback" not in done.stderr
    assert "bug" not in done.stderr
    if done.returncode:
        assert done.stderr.startswith("patina: ")
        assert "try: patina doctor" in done.stderr
    assert remembered.git("rev-parse", "HEAD") == before
    remembered.sync()
    assert remembered.snapshot() == remembered.rebuilt()


def test_a_first_sync_without_space(memory: Memory) -> None:
    memory.commit("archive", {"layer/sessions/20251101-090000.md": document("sqlite")})
    for size in (0, 10_000, 50_000, 150_000):
        done = run(memory, PATINA, "sync", size=size)
        assert done.returncode == 1, (size, done)
        assert "Traceback" not in done.stderr
        assert "bug" not in done.stderr
    memory.sync()
    assert memory.snapshot() == memory.rebuilt()


def test_a_commit_without_space_for_patina(remembered: Memory) -> None:
    """There is room for git's small objects, none for our databases."""
    install(remembered.repository, sys.executable)
    wait_for_workers(remembered)
    done = run(remembered, "git", "commit", "-q", "--allow-empty", "-m", "while the disk is full", size=4_000)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    remembered.sync()
    assert remembered.snapshot() == remembered.rebuilt()
    assert "while the disk is full" in str(remembered.snapshot().observations)


def test_a_question_without_space_is_answered_from_what_there_is(remembered: Memory) -> None:
    remembered.sync()
    remembered.commit("one more")
    done = run(remembered, PATINA, "scry", "why sqlite", size=0)
    assert done.returncode == 0, done.stderr
    assert "chose sqlite" in done.stdout
    assert "the index was not updated" in done.stderr


def test_a_state_that_may_not_be_written(remembered: Memory) -> None:
    """As on a read-only file system, for root too: the databases can be read, nothing beside them be made."""
    install(remembered.repository, sys.executable)
    wait_for_workers(remembered)
    for name in ("log.db-shm", "embeddings.db-shm"):
        (remembered.state / name).unlink(missing_ok=True)
        (remembered.state / name).mkdir()
    commit = ["git", "commit", "-q", "--allow-empty", "-m", "while nothing can be written"]
    done = run(remembered, *commit, size=1 << 30)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    for command, code in (("scry", 0), ("status", 0), ("log", 0), ("pairs", 0), ("sync", 1), ("gc", 1)):
        words = [command, "why sqlite"] if command == "scry" else [command]
        done = run(remembered, PATINA, *words, size=1 << 30)
        assert done.returncode == code, done
        assert "Traceback" not in done.stderr
        assert "bug" not in done.stderr
    assert "cannot be used" in (remembered.state / "patina.log").read_text()
    for name in ("log.db-shm", "embeddings.db-shm"):
        (remembered.state / name).rmdir()
    remembered.sync()
    assert remembered.snapshot() == remembered.rebuilt()
    assert "while nothing can be written" in str(remembered.snapshot().observations)
