"""Installed distributions and their entry points, read from their folders.

As `importlib.metadata` finds them, which takes longer to import (the parser of e-mail) than a question takes
to answer. Where something other than folders may hold distributions (a zip file, a finder of an import hook),
it is asked.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Final, Protocol

_SUFFIXES: Final = (".dist-info", ".egg-info")
_METADATA: Final = ("METADATA", "PKG-INFO")
_NAME: Final = re.compile(r"^Name:[ \t]*(\S+)", re.MULTILINE)
_VERSION: Final = re.compile(r"^Version:[ \t]*(\S+)", re.MULTILINE)
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


class InstalledDistribution(Protocol):
    """What is read of an installed distribution; `importlib.metadata.Distribution` has these two methods."""

    def read_text(self, filename: str, /) -> str | None:
        """Read a file of its metadata, None where it is absent."""

    def locate_file(self, path: str, /) -> object:
        """Return the path of a file that its record names."""


@dataclass(frozen=True, slots=True)
class _Folder:
    """A distribution whose metadata lies in a folder."""

    folder: Path

    def read_text(self, filename: str, /) -> str | None:
        try:
            return (self.folder / filename).read_text("utf-8", "replace")
        except (OSError, ValueError):
            return None

    def locate_file(self, path: str, /) -> Path:
        return self.folder.parent / path


def find_distribution(name: str) -> InstalledDistribution | None:
    """Find the first installed distribution of a name, whatever its case and separators."""
    if _has_only_folders():
        key = _normalize(name)
        return next((_Folder(folder) for folder in _folders() if _key_of(folder) == key), None)
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def version_of(distribution: InstalledDistribution) -> str:
    """Read the version that a distribution states, "" where it states none."""
    return _header(distribution, _VERSION)


def installed_version(name: str) -> str:
    """Return the installed version of a distribution, "" where there is none."""
    distribution = find_distribution(name)
    return version_of(distribution) if distribution else ""


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
    for distribution in _distributions():
        text = distribution.read_text("entry_points.txt") or ""
        if f"[{group}]" in text:
            name = _header(distribution, _NAME)
            yield from (EntryPoint(key, name, value) for key, value in _section(text, group))


def _distributions() -> Iterator[_Folder]:
    """Yield each distribution once: the first of its name on the path."""
    keys: set[str] = set()
    for folder in _folders():
        if (key := _key_of(folder)) not in keys:
            keys.add(key)
            yield _Folder(folder)


def _folders() -> Iterator[Path]:
    """Yield the folders of metadata in the order of the path."""
    for path in sys.path:
        try:
            with os.scandir(path or ".") as entries:
                names = [entry.name for entry in entries if entry.name.lower().endswith(_SUFFIXES)]
        except OSError:
            continue
        yield from (Path(path, name) for name in sorted(names))


def _key_of(folder: Path) -> str:
    return _normalize(folder.stem.partition("-")[0])


def _normalize(name: str) -> str:
    return re.sub(r"[-_.]+", "_", name).lower()


def _header(distribution: InstalledDistribution, pattern: re.Pattern[str]) -> str:
    """Read a field of the headers of a distribution's metadata, "" where it is absent."""
    texts = (distribution.read_text(filename) for filename in _METADATA)
    match = pattern.search(next(filter(None, texts), "").partition("\n\n")[0])
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
