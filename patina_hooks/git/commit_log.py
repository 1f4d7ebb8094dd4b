"""The output of `git log --raw -z` as commits, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import IO

from patina_hooks.specs.values import Change, Commit

LOG_FORMAT = "%x01%H%x00%P%x00%an%x00%at%x00%ct%x00%B%x00"
FIELD_CAP = 1 << 20
"""What is longer (a message) is cut, in bytes."""

_LAST_SECOND = 253_402_300_799  # of the year 9999


def commits_in(out: IO[bytes], cut: frozenset[str]) -> Iterator[Commit]:
    """Read `log --raw -z`: records of NUL-ended fields; a field that starts with \\1 begins a commit."""
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
    if len(header) == 6:  # else git died in the midst of it
        yield _commit(header, changes, cut)


def _fields(out: IO[bytes]) -> Iterator[bytes]:
    """The NUL-ended fields, each as far as the cap."""
    pieces: list[bytes] = []
    room = FIELD_CAP
    while chunk := out.read(1 << 16):
        *ends, rest = chunk.split(b"\0")
        for end in ends:
            yield b"".join([*pieces, end[:room]])
            pieces, room = [], FIELD_CAP
        pieces.append(rest[:room])
        room -= len(pieces[-1])
    if (last := b"".join(pieces)).strip():
        yield last


def _commit(header: list[bytes], changes: list[Change], cut: frozenset[str]) -> Commit:
    oid, parents, author, authored, committed, message = header
    name = oid.decode()
    return Commit(
        oid=name,
        parents=tuple(parents.decode().split()),
        author=author.decode("utf-8", "replace"),
        authored=seconds(authored) or 0,
        committed=seconds(committed) or 0,
        message=message.decode("utf-8", "replace").strip("\n"),
        changes=() if name in cut else tuple(changes),
        truncated=name in cut,
    )


def seconds(stated: bytes) -> int | None:
    """Seconds since 1970 as an object states them; None for what is no moment before the year 10000."""
    seconds = int(stated) if stated.isdigit() and len(stated) <= len(str(_LAST_SECOND)) else None
    return seconds if seconds is not None and seconds <= _LAST_SECOND else None
