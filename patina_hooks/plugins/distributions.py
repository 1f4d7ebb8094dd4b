"""Entry points of installed distributions, read from their folders.

As `importlib.metadata.entry_points` finds them, which takes longer to import (the parser of e-mail) than a
question takes to answer. Where something other than folders may hold distributions (a zip file, a finder of
an import hook), it is asked.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Final

_METADATA: Final = {".dist-info": "METADATA", ".egg-info": "PKG-INFO"}
_NAME: Final = re.compile(r"^Name:[ \t]*(\S+)", re.MULTILINE)
_VALUE: Final = re.compile(r"([\w.]+)\s*(?::\s*([\w.]+)\s*)?(?:\[.*\]\s*)?$")


@dataclass(frozen=True, slots=True, order=True)
class EntryPoint:
    """An entry point of a distribution, which is "" where none is known."""

    name: str
    distribution: str
    value: str

    def load(self) -> object:
        """Import what the entry point names. Raises ValueError for a malformed one, and what it raises."""
        match = _VALUE.match(self.value)
        if not match:
            raise ValueError(f"invalid entry point {self.value!r}; use 'package.module:attribute'")
        target: object = import_module(match[1])
        for attribute in filter(None, (match[2] or "").split(".")):
            target = getattr(target, attribute)
        return target


def read_entry_points(group: str) -> list[EntryPoint]:
    """Read the entry points of a group, sorted.

    Of a distribution that is installed twice, the first on the path counts.
    """
    if _has_only_folders():
        return sorted(set(_entry_points(group)))
    from importlib.metadata import entry_points

    return sorted(
        {
            EntryPoint(entry.name, entry.dist.name if entry.dist else "", entry.value)
            for entry in entry_points(group=group)
        }
    )


def _has_only_folders() -> bool:
    """Whether all that is importable lies in folders, or nowhere."""
    finders = (finder for finder in sys.meta_path if hasattr(finder, "find_distributions"))
    own = (PathFinder, getattr(sys.modules.get("importlib.metadata"), "MetadataPathFinder", PathFinder))
    return not any(Path(path).is_file() for path in sys.path) and all(finder in own for finder in finders)


def _entry_points(group: str) -> Iterator[EntryPoint]:
    for folder in _distributions():
        try:
            text = (folder / "entry_points.txt").read_text("utf-8")
        except (OSError, ValueError):
            continue
        if f"[{group}]" in text:
            name = _name_of(folder)
            yield from (EntryPoint(key, name, value) for key, value in _section(text, group))


def _distributions() -> Iterator[Path]:
    """Yield the metadata folder of each distribution."""
    seen: set[str] = set()
    for path in sys.path:
        try:
            folders = [entry for entry in Path(path).iterdir() if entry.suffix.lower() in _METADATA]
        except OSError:
            continue
        for folder in sorted(folders):
            key = re.sub(r"[-_.]+", "_", folder.stem.partition("-")[0]).lower()
            if key not in seen:
                seen.add(key)
                yield folder


def _name_of(folder: Path) -> str:
    """Read the name that a distribution states, "" where it states none."""
    try:
        text = (folder / _METADATA[folder.suffix.lower()]).read_text("utf-8", "replace")
    except OSError:
        return ""
    match = _NAME.search(text.partition("\n\n")[0])
    return match[1] if match else ""


def _section(text: str, section: str) -> Iterator[tuple[str, str]]:
    """Yield the keys and values of one section of an INI file."""
    current = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            current = line[1:-1]
        elif line and not line.startswith("#") and current == section:
            key, _, value = line.partition("=")
            yield key.strip(), value.strip()
