"""Patterns of paths as in .gitignore, matched against paths from the root of a tree."""

from __future__ import annotations

import re
from collections.abc import Iterable

_WILD = re.compile(r"[*?\[\]\\]")


def compile_patterns(patterns: Iterable[str]) -> re.Pattern[str]:
    """Return what matches the whole of each path that a pattern names, or that lies under a folder it names.

    A pattern with a slash before its end starts at the root, another one matches at any depth. `*` and `?`
    match within one step, `**` any number of steps, `[...]` one of some characters.
    """
    return re.compile("|".join(map(_expression, patterns)) or r"(?!)", re.DOTALL)


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


def _expression(pattern: str) -> str:
    anchored = "/" in pattern.rstrip("/")
    steps = pattern.strip("/").split("/")
    parts = [_step(step) if step != "**" else "**" for step in steps]
    text = "" if anchored else "(?:.*/)?"
    for at, part in enumerate(parts):
        last = at == len(parts) - 1
        if part == "**":
            text += ".+" if last else "(?:.*/)?"
        else:
            text += part if last else f"{part}/"
    return f"{text}/.*" if pattern.endswith("/") else f"{text}(?:/.*)?"


def _step(step: str) -> str:
    """Return one step of a pattern as a regular expression."""
    text, at = "", 0
    while at < len(step):
        char = step[at]
        end = step.find("]", at + 2) if char == "[" else -1
        if end > 0:
            inner = step[at + 1 : end].replace("\\", r"\\").replace("[", r"\[")
            text += f"(?!/)[{'^' + inner[1:] if inner[0] in '!^' else inner}]"
            at = end
        elif char in "*?":
            text += "[^/]*" if char == "*" else "[^/]"
        else:
            at += char == "\\" and at + 1 < len(step)
            text += re.escape(step[at])
        at += 1
    return text
