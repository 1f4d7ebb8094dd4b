"""Installed distributions for tests: real metadata in a folder on sys.path."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


class Site:
    """A folder as pip leaves it: packages, and a dist-info beside each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(
        self,
        distribution: str,
        *,
        files: Mapping[str, str | bytes] | None = None,
        entry_points: Mapping[str, str] | None = None,
        version: str = "1.0",
    ) -> None:
        """Install `files` (path -> content), and in group "patina" the entry points (name -> module)."""
        for name, content in (files or {}).items():
            write(self.folder / name, content)
        points = "".join(f"{name} = {value}\n" for name, value in (entry_points or {}).items())
        self._describe(distribution, version, {"entry_points.txt": f"[patina]\n{points}"})

    def add_editable(self, distribution: str, project: Path, *, editable: bool = True) -> None:
        """Install `project` editable: its files stay where they are."""
        direct = {"url": project.as_uri(), "dir_info": {"editable": editable}}
        self._describe(distribution, "1.0", {"direct_url.json": json.dumps(direct)})

    def _describe(self, distribution: str, version: str, files: Mapping[str, str]) -> None:
        folder = self.folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        write(folder / "METADATA", f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        for name, content in files.items():
            write(folder / name, content)


def write(path: Path, content: str | bytes) -> None:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def importable(*folders: Path) -> Iterator[None]:
    """The folders at the front of sys.path; modules imported from anywhere meanwhile are forgotten after."""
    known, path = set(sys.modules), list(sys.path)
    sys.path[:0] = [str(folder) for folder in folders]
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = path
        for name in set(sys.modules) - known:
            file = getattr(sys.modules[name], "__file__", None)
            if file and any(Path(file).is_relative_to(folder) for folder in folders):
                del sys.modules[name]
        importlib.invalidate_caches()
