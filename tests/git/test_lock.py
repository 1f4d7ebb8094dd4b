"""The lock: one holder, across objects and processes, and death lets go."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from patina_hooks.errors import StateError
from patina_hooks.git import lock as lock_module
from patina_hooks.git.lock import SyncLock, announce_waits

_HOLD = """\
import sys
from pathlib import Path
from patina_hooks.git.lock import SyncLock
lock = SyncLock(Path(sys.argv[1]))
print(lock.acquire(), flush=True)
sys.stdin.read()
"""


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    first, second = SyncLock(tmp_path / "lock"), SyncLock(tmp_path / "lock")
    assert first.acquire()
    assert not second.acquire()
    assert not second.acquire(wait=0.1)
    first.release()
    assert second.acquire()
    second.release()


def test_a_holder_that_is_killed_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        lock = SyncLock(path)
        assert not lock.acquire()
        holder.kill()
        holder.wait(60)
        # Not reaped or reaped, a zombie or gone: the operating system has let go.
        assert lock.acquire(wait=60)
        lock.release()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_killed_holder_lets_go_when_it_forked_a_child(tmp_path: Path) -> None:
    fork = "import os, time\nif os.fork() == 0:\n    time.sleep(600)\nprint('forked', flush=True)\n"
    code = _HOLD.replace("sys.stdin.read()", fork + "sys.stdin.read()")
    with subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "lock"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
    ) as holder:  # fmt: skip
        assert holder.stdout is not None
        assert [holder.stdout.readline() for _ in range(2)] == ["True\n", "forked\n"]
        holder.kill()
        holder.wait(60)
        try:
            assert SyncLock(tmp_path / "lock").acquire(wait=10)
        finally:
            os.killpg(holder.pid, signal.SIGKILL)


def test_waiting_ends_when_the_holder_lets_go(tmp_path: Path) -> None:
    first, second = SyncLock(tmp_path / "lock"), SyncLock(tmp_path / "lock")
    first.acquire()
    got: list[bool] = []
    waiting = threading.Thread(target=lambda: got.append(second.acquire(wait=None)))
    waiting.start()
    first.release()
    waiting.join(60)
    assert got == [True]
    second.release()


def test_who_takes_it_again_and_again_lets_others_have_it(tmp_path: Path) -> None:
    ours, theirs, turns = SyncLock(tmp_path / "lock"), SyncLock(tmp_path / "lock"), 0
    with ours, ThreadPoolExecutor(1) as other:
        got = other.submit(theirs.acquire, 60)
        while not got.done() and turns < 100:
            turns += 1
            ours.release(yield_to_waiters=True)
            if not ours.acquire():
                break
        assert turns < 100
        assert got.result()
    theirs.release()


def test_with_holds_it_and_lets_go_after_an_error(tmp_path: Path) -> None:
    other = SyncLock(tmp_path / "lock")

    def work() -> None:
        with SyncLock(tmp_path / "lock"):
            assert not other.acquire()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert other.acquire()
    other.release()
    other.release()


def test_a_child_does_not_keep_it(tmp_path: Path) -> None:
    lock = SyncLock(tmp_path / "lock")
    lock.acquire()
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, close_fds=False) as child:
        lock.release()
        assert SyncLock(tmp_path / "lock").acquire()
        child.communicate(timeout=60)


def test_a_wait_is_announced_once_when_it_lasts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_module, "_ANNOUNCE_SECONDS", 0.0)
    said: list[str] = []
    with SyncLock(tmp_path / "lock"), announce_waits(said.append):
        assert not SyncLock(tmp_path / "lock").acquire(wait=0.2)
        assert not SyncLock(tmp_path / "lock").acquire()
    assert said == [f"waiting for another patina process (pid {os.getpid()})"]


@pytest.mark.parametrize("content", [b"", b"x" * 9000, b"\xff", b"12 34"], ids=repr)
def test_a_holder_is_named_without_an_id_when_the_file_tells_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "lock").write_bytes(content)
    assert SyncLock(tmp_path / "lock").holder() == "another patina process"


def test_no_descriptor_is_left_behind(tmp_path: Path) -> None:
    with SyncLock(tmp_path / "lock"):
        before = len(list(Path("/dev/fd").iterdir()))
        for _ in range(5):
            assert not SyncLock(tmp_path / "lock").acquire()
        assert len(list(Path("/dev/fd").iterdir())) == before


def test_taking_it_twice_is_a_mistake_and_not_a_deadlock(tmp_path: Path) -> None:
    lock = SyncLock(tmp_path / "lock")
    with lock, pytest.raises(RuntimeError, match="already held"):
        lock.acquire()


def test_the_file_stays(tmp_path: Path) -> None:
    with SyncLock(tmp_path / "lock"):
        pass
    assert (tmp_path / "lock").is_file()


def test_a_place_that_cannot_be_written_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="cannot open") as caught:
        SyncLock(tmp_path / "nowhere" / "lock").acquire()
    assert caught.value.hint
