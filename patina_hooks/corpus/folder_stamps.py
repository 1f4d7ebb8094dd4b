"""Stamps of folders: a cheap way to see that nothing in them came, went or was replaced.

A folder's time of change moves when an entry is made, removed or renamed over, as git does with refs, and git
and most editors with files. What is written in place leaves it alone: so a stamp holds for an hour at most,
and `patina sync` looks at everything.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable
from pathlib import Path

from patina_hooks.text.session_ids import HIDDEN_REFS

SETTLED_NS = 2_000_000_000
_HOLDS_SECONDS = 3_600


def stamp_paths(paths: Iterable[Path]) -> str:
    """Equal to an earlier one where each of these is the same file or folder and has not changed since.

    "" where that cannot be said: something changed so lately that a further change could bear the same time.
    An absent one is a state like any other.
    """
    now = time.time_ns()
    parts = [str(now // (_HOLDS_SECONDS * 1_000_000_000))]
    for path in paths:
        try:
            status = path.lstat()
        except OSError:
            parts.append("absent")
            continue
        if now - status.st_mtime_ns < SETTLED_NS:
            return ""
        parts.append(f"{status.st_mtime_ns} {status.st_size} {status.st_ino} {status.st_mode}")
    return "\n".join(parts)


def stamp_tags(common: Path) -> str:
    """A stamp of all session tags (none lies in a folder of tags), "" where refs are not kept in files."""
    if (common / "reftable").exists():
        return ""
    return stamp_paths([common / "packed-refs", common / "refs" / "tags", common / HIDDEN_REFS])


def hash_border(border: Iterable[str]) -> str:
    """Return what is kept of the commits at which a shallow clone was cut off."""
    return hash_text(" ".join(sorted(border)))


def hash_text(text: str) -> str:
    """What is kept of a stamp, or of any list of names, to compare it with a later one."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
