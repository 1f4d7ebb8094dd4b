"""Folder stamps: a cheap way to see that nothing in a folder was added, removed or replaced.

A stamp is made of the modification times, sizes and inodes of a few paths; reading it opens no file. It has
the name of git's stat data and is not the change token of an answer (`patina_hooks.upkeep.change_token`),
which is computed from stamps.

A folder's modification time changes when an entry is created, removed or replaced by a rename, as git does
with refs, and git and most editors with files. A file that is written in place leaves it unchanged: so a
stamp is valid for an hour at most, and `patina sync` looks at everything.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable
from pathlib import Path

from patina_hooks.text.session_ids import HIDDEN_REFS

SETTLED_NS = 2_000_000_000
_VALID_SECONDS = 3_600


def stamp_paths(paths: Iterable[Path]) -> str:
    """Return the stamp of these files and folders.

    It is equal to an earlier stamp if each path is the same file or folder and has not changed since. It is
    "" if a path changed so lately that a further change could have the same time. An absent path is a state
    like any other.
    """
    now = time.time_ns()
    parts = [str(now // (_VALID_SECONDS * 1_000_000_000))]
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
    """Return the stamp of all session tags, "" if refs are not stored in files.

    No session tag lies in a folder of tags, so the stamps of three paths are enough.
    """
    if (common / "reftable").exists():
        return ""
    return stamp_paths([common / "packed-refs", common / "refs" / "tags", common / HIDDEN_REFS])


def hash_border(border: Iterable[str]) -> str:
    """Return the digest of the commits at which a shallow clone was cut off."""
    return hash_text(" ".join(sorted(border)))


def hash_text(text: str) -> str:
    """Return the digest of a stamp, or of a list of names, which is stored to compare it with a later one."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
