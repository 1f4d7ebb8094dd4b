"""Patterns of paths as in .gitignore: where in a tree their matches may lie."""

from __future__ import annotations

import re

_WILD = re.compile(r"[*?\[\]\\]")


def escape(path: str) -> str:
    """Return a pattern that names just this path."""
    return _WILD.sub(r"\\\g<0>", path)


def literal_folder(pattern: str) -> str:
    """Return the folder in which all matches lie, "" for the root."""
    if "/" not in pattern.rstrip("/"):
        return ""
    steps = pattern.strip("/").split("/")[:-1]
    wild = next((at for at, step in enumerate(steps) if _WILD.search(step)), len(steps))
    return "/".join(steps[:wild])


def is_deep(pattern: str) -> bool:
    """Return whether matches may lie deeper than right in the literal folder of a pattern.

    A last step with a suffix is taken to name files, not a folder.
    """
    if "/" not in pattern.rstrip("/"):
        return True
    rest = pattern.strip("/").removeprefix(literal_folder(pattern)).strip("/")
    return "/" in rest or "." not in rest
