"""What holds of an index in segments: its files as they were written, and whose they are.

`manifest.json`, with a CRC-32 of itself, keeps each file's size, time of change and inode. What a manifest
says of a companion is sealed with a key that lies in the user's own folder, outside every repository: who
writes a whole state folder, manifest and all, still cannot make a companion pass for this machine's.
"""

from __future__ import annotations

import json
import os
import sys
import zlib
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import numpy as np

from patina_hooks.config.parsing import parse_json
from patina_hooks.config.schema import Rule, read_mapping, read_value
from patina_hooks.errors import IndexDamaged
from patina_hooks.system.files import read_state, replace_file
from patina_hooks.system.user_folders import cache_folder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]

MANIFEST: Final = "manifest.json"
_KEY_BYTES = 32
_MOST_ROWS = (1 << 32) - 1


def _check_name(name: str) -> None:
    if Path(name).name != name or not (name.isascii() and name.isprintable()):
        raise ValueError


@dataclass(frozen=True, slots=True)
class File:
    """A file as it was written; changed: as `time` gives it."""

    file: Annotated[str, Rule("the name of a file beside the manifest", check=_check_name)]
    size: int
    changed: int
    inode: int

    @staticmethod
    def time(stat: os.stat_result) -> int:
        """When it was changed, in ns."""
        return stat.st_mtime_ns


@dataclass(frozen=True, slots=True)
class Companion(File):
    """The file beside a segment; seal: of all that is said here, and the writer's key."""

    sha256: str
    seal: str = ""

    @staticmethod
    def time(stat: os.stat_result) -> int:
        """When it was changed, in ns: the time that nobody can set back, except on Windows."""
        return stat.st_mtime_ns if sys.platform == "win32" else stat.st_ctime_ns

    def sealed(self, key: bytes) -> Companion:
        """It, with the seal that this key makes."""
        said = json.dumps(asdict(replace(self, seal=""))).encode()
        return replace(self, seal=blake2b(said, key=key, digest_size=16).hexdigest())


@dataclass(frozen=True, slots=True)
class Segment(File):
    """One segment; dead: rows that were replaced or removed since."""

    rows: Annotated[int, Rule("a number of rows", least=1, most=_MOST_ROWS)]
    dead: tuple[int, ...] = ()
    companion: Companion | None = None

    @property
    def alive(self) -> int:
        return self.rows - len(self.dead)

    @property
    def files(self) -> tuple[Segment | Companion, ...]:
        return (self, self.companion) if self.companion else (self,)

    def usable(self) -> Mask:
        """Which rows answer, [rows]."""
        mask = np.ones(self.rows, np.bool_)
        mask[list(self.dead)] = False
        return mask


@dataclass(frozen=True, slots=True)
class Manifest:
    generation: int = 0
    segments: tuple[Segment, ...] = ()

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """The folder's, an empty one where there is none. Raises `IndexDamaged`."""
        try:
            return _manifest(parse_json(read_state(folder / MANIFEST)))
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError) as error:
            raise IndexDamaged(f"{folder / MANIFEST}: {error}", hint="patina sync") from error

    def write(self, folder: Path) -> None:
        """In the place of the folder's. Raises OSError with nothing changed."""
        content = asdict(self)
        replace_file(folder / MANIFEST, json.dumps({**content, "crc": _crc(content)}).encode())


def own_key() -> bytes | None:
    """The user's key on this machine, made where there is none; None where it cannot be kept.

    Losing it costs nothing but what was sealed with it, which is made again.
    """
    path = cache_folder() / "key"
    try:
        if not path.is_file() or path.stat().st_size != _KEY_BYTES:
            replace_file(path, os.urandom(_KEY_BYTES))
        return path.read_bytes()
    except OSError:
        return None


def _manifest(stored: object) -> Manifest:
    """From JSON. Raises ValueError where it is something else."""
    content = read_mapping(object, stored)
    if content.pop("crc", None) != _crc(content):
        raise ValueError("altered since it was written")
    manifest = read_value(Manifest, content)
    if any(not 0 <= row < segment.rows for segment in manifest.segments for row in segment.dead):
        raise ValueError("rows are dead that are not there")
    return manifest


def _crc(manifest: object) -> int:
    return zlib.crc32(json.dumps(manifest).encode())
