"""Text from a repository, made safe for a terminal.

git accepts ESC in paths and U+202E or U+009B in tag names: whatever came from a repository passes
through here before it is printed.
"""

from __future__ import annotations

import re

# C0 but tab and newline, DEL, C1, and the bidirectional controls (Unicode UAX #9), line separators.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_SPACE = re.compile(r"\s+")


def clean(text: str) -> str:
    """Without control and bidi characters; tabs and newlines stay."""
    return _UNSAFE.sub("", text)


def clean_line(text: str) -> str:
    """`clean`, on one line."""
    return clean(_SPACE.sub(" ", text)).strip()


def count(number: int, noun: str) -> str:
    """ "1 commit", "2 commits", "3,000 commits"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def size(number: int | None) -> str:
    """Bytes as a person reads them, in decimal units; None: nobody knows how many."""
    if number is None:
        return "? MB"
    value = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
