"""Real workers, and waiting for them: by their lock, or until every process has ended."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from support.memory import Memory

from patina_hooks.git import spool
from patina_hooks.git.lock import SyncLock
from patina_hooks.store.log import Log
from patina_hooks.upkeep.worker import WORKER_LOCK

if TYPE_CHECKING:
    from collections.abc import Iterator


WORKER_KEEPS = 300


def work(memory: Memory) -> None:
    """Run a worker to its end; nobody hears of it."""
    done = subprocess.run(
        [sys.executable, "-m", "patina_hooks.upkeep.worker", str(memory.root / ".git"), str(memory.root)],
        cwd="/", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def wait_for_workers(memory: Memory) -> None:
    """Until every event is dealt with, as it will be by a worker that a hook started, or one more."""
    while spool.pending_bytes(memory.state):
        with SyncLock(memory.state / WORKER_LOCK):
            pass  # whoever held it has looked at the spool since
        work(memory)


@contextmanager
def all_ended(lowest: int = 10) -> Iterator[int]:
    """A descriptor for `pass_fds`: the block is left when every process that inherited it has ended.

    lowest: 10 is above what a hook closes, `WORKER_KEEPS` above what a worker closes too.
    """
    ended, low = os.pipe()
    passed = fcntl.fcntl(low, fcntl.F_DUPFD, lowest)
    os.close(low)
    try:
        yield passed
    finally:
        os.close(passed)
        os.read(ended, 1)
        os.close(ended)


def recorded(memory: Memory) -> dict[str, list[str]]:
    """Commit -> "commit" and "gone", in the order in which the log says so of it."""
    found: dict[str, list[str]] = {}
    ask = "SELECT subject, kind FROM event WHERE kind IN ('commit', 'gone') ORDER BY seq"
    with closing(Log(memory.state, create=False)) as log:
        for oid, kind in log.connection.execute(ask):
            found.setdefault(oid, []).append(kind)
    return found
