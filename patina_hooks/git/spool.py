"""The spool: one line for each hook that ran, and how far the worker has come.

The worker compares refs with the log, so a line says *that* something happened and never *what* is true:
a lost, doubled or forged line costs a look at the refs and nothing else. Lines are kept for the log.

    <state>/spool          appended by hooks: "post-rewrite amend"
    <state>/spool.offset   how many bytes of it were dealt with; absent means none
"""

from __future__ import annotations

import errno
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from patina_hooks.system.files import NO_LINK, read_regular, replace_file

_TRUNCATE_ABOVE = 64 * 1024
_READ_CAP = 64 * 1024
_LINE = re.compile(rb"(post-[a-z]{5,12})((?: [0-9a-z]{1,64}){0,4})\n")


@dataclass(frozen=True, slots=True)
class SpoolEvent:
    """A hook that ran. arguments: what git gave it, at most four words of digits and small letters."""

    hook: str
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SpoolContents:
    """What stood in the spool, and the offset to `set_offset` once it is dealt with.

    events: those of the last 64 kB at most; lines that no hook of ours writes are left out.
    """

    events: tuple[SpoolEvent, ...]
    end: int


def append_event(state: Path, event: SpoolEvent) -> None:
    """Note an event. Raises OSError where the state folder cannot be written."""
    line = " ".join((event.hook, *event.arguments)).encode("utf-8", "surrogateescape") + b"\n"
    if not _may_append(state):
        raise OSError(errno.EINVAL, "not a regular file", str(_spool(state)))
    handle = os.open(_spool(state), os.O_WRONLY | os.O_APPEND | os.O_CREAT | NO_LINK, 0o600)
    try:
        os.write(handle, line if _LINE.fullmatch(line) else event.hook.encode() + b"\n")
    finally:
        os.close(handle)


def pending_bytes(state: Path) -> int:
    """Bytes that no worker has dealt with."""
    size = _size(state)
    return size - _offset(state, size)


def last_event_time(state: Path) -> float | None:
    """Return when the last event was noted, in seconds since 1970; None where all were dealt with."""
    try:
        return _spool(state).lstat().st_mtime if pending_bytes(state) else None
    except OSError:
        return None


def read_spool(state: Path) -> SpoolContents:
    """What is pending. Raises OSError where the spool is there and cannot be read."""
    size = _size(state)
    start = _offset(state, size)
    if start == size:
        return SpoolContents((), size)
    handle = os.open(_spool(state), os.O_RDONLY | NO_LINK)
    with os.fdopen(handle, "rb") as file:
        file.seek(max(start, size - _READ_CAP))
        data = file.read(min(size - start, _READ_CAP))
    found = (SpoolEvent(m[1].decode(), tuple(m[2].decode().split())) for m in _LINE.finditer(data))
    return SpoolContents(tuple(found), size)


def set_offset(state: Path, end: int) -> None:
    """Everything before `end` is dealt with."""
    replace_file(_spool(state).with_suffix(".offset"), b"%d\n" % end)


def truncate_spool(state: Path) -> bool:
    """Empty a spool that is long and dealt with; True means: look at the repository once more.

    To be called by the one worker that holds the lock. Between our look at the size and the cut a hook may
    append a line, which is then lost, and its own worker has gone because the lock was taken. But a hook
    runs after the refs changed, so a look at the refs *after* the cut sees what that line was about.
    """
    size = _size(state)
    if size <= _TRUNCATE_ABOVE or _offset(state, size) != size:
        return False
    set_offset(state, 0)  # before the cut: a kill between the two makes us look again, not overlook
    os.truncate(_spool(state), 0)
    return True


def _spool(state: Path) -> Path:
    return state / "spool"


def _may_append(state: Path) -> bool:
    try:
        return stat.S_ISREG(_spool(state).lstat().st_mode)
    except FileNotFoundError:
        return True


def _size(state: Path) -> int:
    try:
        status = _spool(state).lstat()
    except OSError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def _offset(state: Path, size: int) -> int:
    try:
        offset = int(read_regular(_spool(state).with_suffix(".offset"), 32))
    except (OSError, ValueError):
        return 0
    # Past the end: the spool was removed or cut by someone else. All of it is new.
    return offset if 0 <= offset <= size else 0
