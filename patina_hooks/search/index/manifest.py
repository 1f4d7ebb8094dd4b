"""The manifest of an index in segments: its files as they were written.

`manifest.json`, with a CRC-32 of itself, keeps each file's size, time of change and inode.
"""

from __future__ import annotations

import json
import os
import sys
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import numpy as np

from patina_hooks.config.parsing import parse_json
from patina_hooks.config.schema import Rule, read_mapping, read_value
from patina_hooks.errors import IndexDamaged
from patina_hooks.system.files import read_state, replace_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]

MANIFEST: Final = "manifest.json"
_MOST_ROWS = (1 << 32) - 1


def _check_name(name: str) -> None:
    if Path(name).name != name or not (name.isascii() and name.isprintable()):
        raise ValueError


@dataclass(frozen=True, slots=True)
class File:
    """A file as it was written. changed: as `time` returns it."""

    file: Annotated[str, Rule("the name of a file in the folder of the manifest", check=_check_name)]
    size: int
    changed: int
    inode: int

    @staticmethod
    def time(stat: os.stat_result) -> int:
        """Return the time of the last change, in ns."""
        return stat.st_mtime_ns


@dataclass(frozen=True, slots=True)
class SidecarFile(File):
    """The sidecar file of a segment. seal: what its kind of index adds, "" without."""

    sha256: str
    seal: str = ""

    @staticmethod
    def time(stat: os.stat_result) -> int:
        """Return the time of the last change, in ns, which cannot be set back except on Windows."""
        return stat.st_mtime_ns if sys.platform == "win32" else stat.st_ctime_ns


@dataclass(frozen=True, slots=True)
class Segment(File):
    """One segment. dead: rows that were replaced or removed since."""

    rows: Annotated[int, Rule("a number of rows", least=1, most=_MOST_ROWS)]
    dead: tuple[int, ...] = ()
    sidecar: SidecarFile | None = None

    @property
    def alive(self) -> int:
        return self.rows - len(self.dead)

    @property
    def files(self) -> tuple[Segment | SidecarFile, ...]:
        return (self, self.sidecar) if self.sidecar else (self,)

    def usable(self) -> Mask:
        """Return which rows are live, [rows]."""
        mask = np.ones(self.rows, np.bool_)
        mask[list(self.dead)] = False
        return mask


@dataclass(frozen=True, slots=True)
class Manifest:
    generation: int = 0
    segments: tuple[Segment, ...] = ()

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read the manifest of a folder, an empty one if there is none. Raises `IndexDamaged`."""
        try:
            return _manifest(parse_json(read_state(folder / MANIFEST)))
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError) as error:
            raise IndexDamaged(f"{folder / MANIFEST}: {error}", hint="patina sync") from error

    def write(self, folder: Path) -> None:
        """Replace the manifest of a folder. Raises OSError with nothing changed."""
        content = asdict(self)
        replace_file(folder / MANIFEST, json.dumps({**content, "crc": _crc(content)}).encode())


def _manifest(stored: object) -> Manifest:
    """Parse a manifest. Raises ValueError for anything else."""
    content = read_mapping(object, stored)
    if content.pop("crc", None) != _crc(content):
        raise ValueError("altered since it was written")
    manifest = read_value(Manifest, content)
    if any(not 0 <= row < segment.rows for segment in manifest.segments for row in segment.dead):
        raise ValueError("dead rows are outside of their segment")
    return manifest


def _crc(manifest: object) -> int:
    return zlib.crc32(json.dumps(manifest).encode())
