"""Locate the matches of path patterns (as in .gitignore) in a tree."""

from __future__ import annotations

import re

_WILD = re.compile(r"[*?\[\]\\]")


def escape_pattern(path: str) -> str:
    """Return a pattern that matches only this path."""
    return _WILD.sub(r"\\\g<0>", path)


def literal_folder(pattern: str) -> str:
    """Return the folder that contains all matches, "" for the root."""
    if "/" not in pattern.rstrip("/"):
        return ""
    steps = pattern.strip("/").split("/")[:-1]
    wild = next((index for index, step in enumerate(steps) if _WILD.search(step)), len(steps))
    return "/".join(steps[:wild])


def is_deep(pattern: str) -> bool:
    """Return whether matches may be in subfolders of the literal folder of a pattern.

    A last step with a suffix is assumed to match files, not a folder.
    """
    if "/" not in pattern.rstrip("/"):
        return True
    rest = pattern.strip("/").removeprefix(literal_folder(pattern)).strip("/")
    return "/" in rest or "." not in rest
