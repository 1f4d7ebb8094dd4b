"""Standard streams that the caller closed, or whose reader is gone."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper
from typing import Literal, TextIO


def fill_streams() -> None:
    """Open the null device for each of stdin, stdout and stderr that the caller has closed (`>&-`).

    Python has None for such a stream, and the next file that is opened would take its number.
    """
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(handle)
    sys.stdin = sys.stdin or _open_stream(0, "r")
    sys.stdout = sys.stdout or _open_stream(1, "w")
    sys.stderr = sys.stderr or _open_stream(2, "w")
    for stream in (sys.stdout, sys.stderr):
        # A terminal in Latin-1 cannot show most of what a repository may hold.
        if isinstance(stream, TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def close_stdout() -> None:
    """Keep Python from reporting again, at exit, output that it could not write."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _open_stream(number: int, mode: Literal["r", "w"]) -> TextIO:
    return open(number, mode, encoding="utf-8", errors="backslashreplace", closefd=False)
