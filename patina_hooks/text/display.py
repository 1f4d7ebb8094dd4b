"""Make text from a repository safe for a terminal.

git accepts ESC in paths and U+202E or U+009B in tag names: all text from a repository passes through these
functions before it is printed.
"""

from __future__ import annotations

import re

# C0 except tab and newline, DEL, C1, the bidirectional controls (Unicode UAX #9), and line separators.
_CONTROLS = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
# Invisible characters, which can hide a text in a text: soft hyphen, joiners and fillers, zero-width spaces,
# interlinear annotation, tags, and variation selectors except the two of emoji.
_INVISIBLE = (
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u2060-\u206f\u3164\ufe00-\ufe0d\ufeff\uffa0"
    "\ufff9-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_UNSAFE = re.compile(f"[{_CONTROLS}{_INVISIBLE}]")
# Joiners stay between letters of scripts that are written with them (Arabic to Myanmar, Khmer, Mongolian)
# and between emoji; the two variation selectors of emoji after a character that has two forms.
_JOINED = "\u0600-\u109f\u1780-\u18af\u2190-\u2bff\U0001f000-\U0001faff"
_STRAY = re.compile(
    f"(?<![{_JOINED}])(?<![{_JOINED}]\ufe0f)[\u200c\u200d]|[\u200c\u200d](?![{_JOINED}])"
    "|(?<![0-9#*\u00a9-\u200b\u200e-\ufe0d\ufe10-\U0010ffff])[\ufe0e\ufe0f]"
)
_SPACE = re.compile(r"\s+")
_ERROR_LENGTH = 2_000


def strip_controls(text: str) -> str:
    """Remove control, bidirectional and invisible characters; tabs and newlines stay."""
    return _STRAY.sub("", _UNSAFE.sub("", text))


def clean_line(text: str) -> str:
    """Apply `strip_controls` and join the lines to one."""
    # Twice: between two spaces there may have been nothing but control characters.
    return _SPACE.sub(" ", strip_controls(_SPACE.sub(" ", text))).strip()


def error_text(text: str) -> str:
    """Return the message of an exception, shortened and encodable in UTF-8."""
    short = text if len(text) <= _ERROR_LENGTH else f"{text[:_ERROR_LENGTH]}... ({len(text):,} characters)"
    return short.encode("utf-8", "backslashreplace").decode("utf-8")


def format_count(number: int, noun: str) -> str:
    """Format a number with its noun: "1 commit", "2 commits", "3,000 commits"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def format_size(number: int | None) -> str:
    """Format a number of bytes in decimal units; None means unknown."""
    if number is None:
        return "? MB"
    value = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
