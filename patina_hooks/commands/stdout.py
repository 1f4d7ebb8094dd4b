"""Keep stdout for our own data: what plugins and their children write there goes to stderr."""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final, TextIO

_NUMBER: Final = 1
_streams: Final[list[io.TextIOBase]] = []
"""Streams that a thread of a plugin may still print to: to free them meanwhile crashes the process."""


class _OwnStdout(io.TextIOWrapper):
    """The stdout of the thread that runs our commands; other threads write to stderr."""

    thread: threading.Thread = threading.main_thread()

    def write(self, text: str) -> int:
        if threading.current_thread() is not self.thread:
            return sys.stderr.write(text)
        return super().write(text)


@contextmanager
def own_stdout() -> Iterator[None]:
    """Move our stdout to a descriptor of its own, and have descriptor 1 lead to stderr.

    Nothing changes where stdout is not descriptor 1, as in a test that captures it.
    """
    original = sys.stdout
    if not _is_real(original):
        yield
        return
    original.flush()
    own = os.dup(_NUMBER)
    os.dup2(2, _NUMBER)
    stream = _OwnStdout(
        open(own, "wb", closefd=False),  # noqa: SIM115 (open until the process ends)
        encoding=original.encoding,
        errors=original.errors,
        line_buffering=os.isatty(own),
        write_through=False,
    )
    _streams.append(stream)
    sys.stdout = stream
    try:
        yield
    finally:
        # What a plugin wrote to `sys.__stdout__` is still on its way to stderr.
        with suppress(OSError, ValueError):
            original.flush()
        with suppress(OSError, ValueError):  # commands flush what they print, and meet the error there
            sys.stdout.flush()
        os.dup2(own, _NUMBER)
        os.close(own)
        sys.stdout = original


def take_stdout(stream: TextIO) -> None:
    """Have this thread write to our stdout, in place of the main thread, which does not return."""
    if isinstance(stream, _OwnStdout):
        stream.thread = threading.current_thread()


@contextmanager
def lent_stdout() -> Iterator[None]:
    """Let a plugin's command, and its children, write to descriptor 1."""
    if not isinstance(sys.stdout, _OwnStdout):
        yield
        return
    aside = os.dup(_NUMBER)
    os.dup2(sys.stdout.fileno(), _NUMBER)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(aside, _NUMBER)
        os.close(aside)


def _is_real(stream: object) -> bool:
    try:
        return isinstance(stream, io.TextIOWrapper) and stream.fileno() == _NUMBER
    except (OSError, ValueError):
        return False
