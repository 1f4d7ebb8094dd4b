"""The spool: one line for each hook that ran, and the offset up to which the worker has processed them.

The worker compares refs with the log, so a line states *that* something happened, not *what*: a lost,
repeated or forged line costs one comparison of the refs. Lines are kept for the worker's log.

    <state>/spool          appended by hooks: "post-rewrite amend"
    <state>/spool.offset   the number of processed bytes; absent means 0
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
    """A hook that ran.

    arguments: from git, at most four words of digits and lower-case letters.
    """

    hook: str
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SpoolContents:
    """The pending events, and the offset to pass to `set_offset` after they are processed.

    events: of the last 64 kB at most, without lines that no hook of patina writes.
    """

    events: tuple[SpoolEvent, ...]
    end: int


def append_event(state: Path, event: SpoolEvent) -> None:
    """Append an event. Raises OSError if the state folder cannot be written."""
    line = " ".join((event.hook, *event.arguments)).encode("utf-8", "surrogateescape") + b"\n"
    if not _may_append(state):
        raise OSError(errno.EINVAL, "not a regular file", str(_spool(state)))
    handle = os.open(_spool(state), os.O_WRONLY | os.O_APPEND | os.O_CREAT | NO_LINK, 0o600)
    try:
        os.write(handle, line if _LINE.fullmatch(line) else event.hook.encode() + b"\n")
    finally:
        os.close(handle)


def pending_bytes(state: Path) -> int:
    """Count the bytes that no worker has processed."""
    size = _size(state)
    return size - _offset(state, size)


def last_event_time(state: Path) -> float | None:
    """Return when the last event was appended, in seconds since 1970.

    None if none is pending.
    """
    try:
        return _spool(state).lstat().st_mtime if pending_bytes(state) else None
    except OSError:
        return None


def read_spool(state: Path) -> SpoolContents:
    """Read the pending events.

    Raises OSError if the spool exists and cannot be read.
    """
    size = _size(state)
    start = _offset(state, size)
    if start == size:
        return SpoolContents((), size)
    handle = os.open(_spool(state), os.O_RDONLY | NO_LINK)
    with os.fdopen(handle, "rb") as file:
        file.seek(max(start, size - _READ_CAP))
        data = file.read(min(size - start, _READ_CAP))
    lines = _LINE.finditer(data)
    events = tuple(SpoolEvent(line[1].decode(), tuple(line[2].decode().split())) for line in lines)
    return SpoolContents(events, size)


def set_offset(state: Path, end: int) -> None:
    """Record that everything before `end` is processed."""
    replace_file(_spool(state).with_suffix(".offset"), b"%d\n" % end)


def truncate_spool(state: Path) -> bool:
    """Truncate a long spool that is processed.

    If True, the caller compares the refs again.

    Only the worker that holds the lock may call this. A hook may append a line between reading the size and
    truncating; that line is lost, and its own worker has ended because the lock was held. But a hook runs
    after the refs changed, so a comparison of the refs *after* truncating includes the change.
    """
    size = _size(state)
    if size <= _TRUNCATE_ABOVE or _offset(state, size) != size:
        return False
    set_offset(
        state, 0
    )  # before truncating: a kill in between causes a repeated comparison, not a missed one
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
    # Past the end: another program removed or truncated the spool. All of it is new.
    return offset if 0 <= offset <= size else 0
