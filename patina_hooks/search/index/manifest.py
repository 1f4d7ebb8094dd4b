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
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from patina_hooks.config.parsing import parse_json
from patina_hooks.errors import IndexDamaged
from patina_hooks.system.files import read_state, replace_file
from patina_hooks.system.user_folders import cache_folder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]

MANIFEST: Final = "manifest.json"
_KEY_BYTES = 32
_MOST_ROWS = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class File:
    """A file as it was written; changed: as `time` gives it."""

    file: str
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

    rows: int
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
            data = parse_json(read_state(folder / MANIFEST))
            if data.pop("crc") != _crc(data):
                raise ValueError("altered since it was written")  # noqa: TRY301
            return cls(int(data["generation"]), tuple(_segment(**s) for s in data["segments"]))
        except FileNotFoundError:
            return cls()
        except (
            OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError,
        ) as error:  # fmt: skip
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


def _segment(
    rows: int, dead: Sequence[int], companion: dict[str, object] | None = None, **facts: object
) -> Segment:
    """From JSON. Raises TypeError or ValueError where it is something else."""
    if not isinstance(rows, int) or not 1 <= rows <= _MOST_ROWS:
        raise ValueError(f"{rows!r} is no number of rows")
    if not all(isinstance(row, int) and 0 <= row < rows for row in dead):
        raise ValueError("rows are dead that are not there")
    beside = Companion(**companion) if companion else None  # type: ignore[arg-type]
    segment = Segment(**facts, rows=rows, dead=tuple(dead), companion=beside)  # type: ignore[arg-type]
    names = [file.file for file in segment.files]
    if any(Path(name).name != name for name in names):
        raise ValueError("a file is named that lies elsewhere")
    if not all(name.isascii() and name.isprintable() for name in names):
        raise ValueError("a file is named that no system can have")
    return segment


def _crc(manifest: object) -> int:
    return zlib.crc32(json.dumps(manifest).encode())
