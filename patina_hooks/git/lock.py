"""A lock between processes, which the operating system releases when its holder dies.

A process id in a file is not enough: `kill -0` succeeds for a zombie, and for another process with the same
id. The file itself is never removed, or two processes could hold locks on two files with the same name.
"""

from __future__ import annotations

import os
import shlex
import stat
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from patina_hooks.errors import StateError
from patina_hooks.system.files import NO_LINK, removal_command

SYNC_LOCK = "lock"
"""The file in the state folder whose lock is held while the log is written."""

_POLL_SECONDS = 0.05
_ANNOUNCE_SECONDS = 1.0

OnWait = Callable[[str], None]
_on_wait: OnWait | None = None
_held: weakref.WeakSet[SyncLock] = weakref.WeakSet()


@contextmanager
def announce_waits(on_wait: OnWait) -> Iterator[None]:
    """Report every wait for a lock that takes longer than a second, during a `with` block."""
    global _on_wait  # noqa: PLW0603 (waits happen deep inside calls, and in threads)
    previous, _on_wait = _on_wait, on_wait
    try:
        yield
    finally:
        _on_wait = previous


class SyncLock:
    """An exclusive lock on a file, held by one `SyncLock` at a time, in this or any other process.

    with SyncLock(path):    waits until the lock is free
    lock.acquire()          returns at once, False if the lock is held
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: int | None = None

    def acquire(self, wait: float | None = 0) -> bool:
        """Acquire the lock and return whether that succeeded.

        Args:
            wait: seconds to try for; None waits without limit.

        Raises:
            StateError: the file cannot be opened.
        """
        if self._handle is not None:
            raise RuntimeError(f"{self.path} is already held by this object")
        handle, start, is_announced = self._open(), time.monotonic(), False
        try:
            # flock has no time limit of its own, and an alarm belongs to the main thread.
            while not _try(handle):
                waited = time.monotonic() - start
                if wait is not None and waited >= wait:
                    os.close(handle)
                    return False
                if waited >= _ANNOUNCE_SECONDS and not is_announced:
                    is_announced = True
                    self._announce()
                time.sleep(_POLL_SECONDS)
            _write_holder(handle)
        except BaseException:
            os.close(handle)
            raise
        self._handle = handle
        _held.add(self)
        return True

    def holder(self) -> str:
        """Name the process that holds the lock: "another patina process (pid 123)".

        The holder wrote its id: it informs a reader, but does not prove that the process lives.
        """
        try:
            number = int(self.path.read_bytes()[:20])
        except (OSError, ValueError):
            return "another patina process"
        return f"another patina process (pid {number})"

    def _announce(self) -> None:
        if _on_wait is not None:
            _on_wait(f"waiting for {self.holder()}")

    def release(self, *, yield_to_waiters: bool = False) -> None:
        """Release the lock; do nothing if it is not held.

        Args:
            yield_to_waiters: wait until every waiting process has polled the lock, for a caller that will
                acquire it again.
        """
        if self._handle is not None:
            _free(self._handle)
            os.close(self._handle)
            self._handle = None
            _held.discard(self)
            if yield_to_waiters:
                time.sleep(2 * _POLL_SECONDS)

    def __enter__(self) -> SyncLock:
        self.acquire(wait=None)
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _open(self) -> int:
        try:
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | NO_LINK, 0o600)
        except OSError as error:
            irregular = os.path.lexists(self.path) and (self.path.is_symlink() or not self.path.is_file())
            hint = removal_command(self.path) if irregular else f"ls -ld {shlex.quote(str(self.path.parent))}"
            raise StateError(f"cannot open {self.path}: {error.strerror}", hint=hint) from error
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise StateError(f"{self.path} is not a regular file", hint=removal_command(self.path))
        return handle


def _forget_in_child() -> None:
    """Close the lock files in a forked process, which would hold them after its parent dies."""
    for lock in list(_held):
        if lock._handle is not None:
            os.close(lock._handle)
            lock._handle = None
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)

if sys.platform == "win32":
    import msvcrt

    def _try(handle: int) -> bool:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _write_holder(handle: int) -> None:
        """Leave the file unchanged: only the holder can read the locked byte."""

    def _free(handle: int) -> None:
        os.lseek(handle, 0, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _write_holder(handle: int) -> None:
        """Write this process's id into the file; ignore a full disk."""
        with suppress(OSError):
            os.pwrite(handle, b"%-20d\n" % os.getpid(), 0)

    def _free(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_UN)
