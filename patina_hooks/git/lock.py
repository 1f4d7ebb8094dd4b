"""One at a time, across processes: a lock that the operating system drops when its holder dies.

A process id in a file cannot do this: `kill -0` succeeds on a zombie, and on a stranger with the same id.
The file itself is never removed, or two processes could hold locks on two files of one name.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from patina_hooks.errors import StateError
from patina_hooks.files import NO_LINK

_POLL_SECONDS = 0.05


class SyncLock:
    """An exclusive lock on a file, held by one `SyncLock` at a time, in this or any other process.

    with SyncLock(path):    waits for as long as another holds it
    lock.acquire()          or finds out at once
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: int | None = None

    def acquire(self, wait: float | None = 0) -> bool:
        """Whether it is ours now. wait: seconds to try for; None tries for as long as it takes.

        Raises `StateError` where the file cannot be opened.
        """
        if self._handle is not None:
            raise RuntimeError(f"{self.path} is already held by this object")
        handle = self._open()
        deadline = None if wait is None else time.monotonic() + wait
        try:
            # flock has no time limit of its own, and an alarm belongs to the main thread alone.
            while not _try(handle):
                if deadline is not None and time.monotonic() >= deadline:
                    os.close(handle)
                    return False
                time.sleep(_POLL_SECONDS)
        except BaseException:
            os.close(handle)
            raise
        self._handle = handle
        return True

    def release(self, *, give_way: bool = False) -> None:
        """Let go; nothing happens where it is not held.

        give_way: return only when all who wait for it have had a look, for one who will want it again.
        """
        if self._handle is not None:
            _free(self._handle)
            os.close(self._handle)
            self._handle = None
            if give_way:
                time.sleep(2 * _POLL_SECONDS)

    def __enter__(self) -> SyncLock:
        self.acquire(wait=None)
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _open(self) -> int:
        try:
            return os.open(self.path, os.O_RDWR | os.O_CREAT | NO_LINK, 0o600)
        except OSError as error:
            raise StateError(
                f"{self.path} cannot be opened: {error.strerror}", hint="patina doctor"
            ) from error


if sys.platform == "win32":
    import msvcrt

    def _try(handle: int) -> bool:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

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

    def _free(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_UN)
