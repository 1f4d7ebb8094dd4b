"""Parse the output of `git log --raw -z` into commits, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import IO

from patina_hooks.specs.values import Change, Commit

LOG_FORMAT = "%x01%H%x00%P%x00%an%x00%at%x00%ct%x00%B%x00"
FIELD_CAP = 1 << 20
"""The longest field (a message) in bytes; longer ones are cut."""

_LAST_SECOND = 253_402_300_799  # of the year 9999


def parse_commits(out: IO[bytes], cut: frozenset[str]) -> Iterator[Commit]:
    """Parse `log --raw -z`: NUL-ended fields.

    A field that starts with \\1 begins a commit.

    Args:
        out: the output of git.
        cut: ids of commits at the border of a shallow clone; their changes are left out.
    """
    header: list[bytes] = []
    changes: list[Change] = []
    fields = _fields(out)
    for field in fields:
        if field.startswith(b"\n:") or field.startswith(b":"):
            status = field.rsplit(b" ", 1)[1][:1].decode()
            changes += [Change(path.decode("utf-8", "surrogateescape"), status) for path in islice(fields, 1)]
        elif field.lstrip(b"\n").startswith(b"\x01"):
            if header:
                yield _commit(header, changes, cut)
            header = [field.lstrip(b"\n")[1:], *islice(fields, 5)]
            changes = []
    if len(header) == 6:  # else git died in the middle of it
        yield _commit(header, changes, cut)


def _fields(out: IO[bytes]) -> Iterator[bytes]:
    """Yield the NUL-ended fields, each cut at the cap."""
    parts: list[bytes] = []
    room = FIELD_CAP
    while chunk := out.read(1 << 16):
        *ends, rest = chunk.split(b"\0")
        for end in ends:
            yield b"".join([*parts, end[:room]])
            parts, room = [], FIELD_CAP
        parts.append(rest[:room])
        room -= len(parts[-1])
    if (last := b"".join(parts)).strip():
        yield last


def _commit(header: list[bytes], changes: list[Change], cut: frozenset[str]) -> Commit:
    oid, parents, author, authored, committed, message = header
    name = oid.decode()
    return Commit(
        oid=name,
        parents=tuple(parents.decode().split()),
        author=author.decode("utf-8", "replace"),
        authored=parse_seconds(authored) or 0,
        committed=parse_seconds(committed) or 0,
        message=message.decode("utf-8", "replace").strip("\n"),
        changes=() if name in cut else tuple(changes),
        truncated=name in cut,
    )


def parse_seconds(text: bytes) -> int | None:
    """Parse the seconds since 1970 of an object.

    None unless before the year 10000.
    """
    seconds = int(text) if text.isdigit() and len(text) <= len(str(_LAST_SECOND)) else None
    return seconds if seconds is not None and seconds <= _LAST_SECOND else None
