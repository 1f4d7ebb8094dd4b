"""Calls into plugins that take long, as other processes see them: one file for each process.

    <state>/calls/<process id>.json     plugin, action, since
    <state>/calls/<process id>.lock     locked for as long as that process lives

Process ids are reused: where the lock is free, the process is dead and the files are removed.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from patina_hooks.config.parsing import parse_json
from patina_hooks.config.schema import read_value
from patina_hooks.errors import StateError
from patina_hooks.git.lock import SyncLock
from patina_hooks.system.files import make_private, read_state, replace_file

FOLDER = "calls"


@dataclass(frozen=True, slots=True)
class RunningCall:
    """A call into a plugin that has not returned. since: seconds since 1970."""

    plugin: str
    action: str
    process: int
    since: int


class _StoredCall(TypedDict):
    plugin: str
    action: str
    since: int


class CallRecord:
    """The file of this process."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self._file = state / FOLDER / f"{os.getpid()}.json"
        self._lock = SyncLock(self._file.with_suffix(".lock"))
        self._written: tuple[str, str, float] | None = None

    def write(self, plugin: str, action: str, since: float) -> None:
        """Record the call that takes long; errors of writing are ignored."""
        if self._written == (plugin, action, since):
            return
        with suppress(OSError, StateError):
            if self._written is None:
                make_private(self._file.parent)
                self._lock.acquire()
            stored = {"plugin": plugin, "action": action, "since": int(since)}
            replace_file(self._file, json.dumps(stored).encode())
            self._written = (plugin, action, since)

    def remove(self) -> None:
        """Remove the file: the call returned."""
        with suppress(OSError):
            self._file.unlink(missing_ok=True)
            self._lock.path.unlink(missing_ok=True)
        self._lock.release()


def running_calls(state: Path) -> tuple[RunningCall, ...]:
    """Return the calls that take long in living processes, oldest first."""
    calls = []
    for file in (state / FOLDER).glob("*.json"):
        with suppress(OSError, ValueError, StateError):
            lock = SyncLock(file.with_suffix(".lock"))
            if lock.acquire():
                file.unlink(missing_ok=True)
                lock.path.unlink(missing_ok=True)
                lock.release()
                continue
            stored = read_value(_StoredCall, parse_json(read_state(file)))
            calls.append(RunningCall(stored["plugin"], stored["action"], int(file.stem), stored["since"]))
    return tuple(sorted(calls, key=lambda call: (call.since, call.process)))


def describe_call(call: RunningCall) -> str:
    """Return a call in words."""
    seconds = max(0, int(time.time()) - call.since)
    return f"plugin {call.plugin} ({call.action}) for {seconds:,} s in process {call.process}"
