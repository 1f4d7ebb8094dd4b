"""Vectors in segments that are never changed once written: what every built-in index stands on.

A write adds one small segment, and merges segments whose size it has caught up with, so that a write costs
in proportion to itself (amortised, as in a log-structured merge tree), and a search looks at a handful of
files. What holds is said by `manifest.json` alone, replaced atomically; files that it does not name are
left-overs of a killed write and are removed by the next one.

Segment file: 64-byte header (magic, version, dimensions, rows, CRC-32 of the rest, fingerprint), then rows
x 16-byte keys, sorted, then rows x dimensions float32, little-endian. A kind of index may keep one more file
beside a segment, its companion, which follows from that segment alone (a graph, short vectors). On opening, a
file that is untouched since it was written is trusted, any other is read against its checksum first. A
companion that native code would believe is opened only where this machine made it, and where that code can
read it; else it is left aside, as if it were not there yet, and the next write makes it anew.
"""

from __future__ import annotations

import struct
import sys
import zlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b, sha256
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

from patina_hooks.errors import IndexDamaged
from patina_hooks.files import remove, replace_file
from patina_hooks.search.manifest import MANIFEST, Companion, Manifest, Segment, own_key
from patina_hooks.types import IndexStats

if sys.platform != "win32":
    from mmap import MADV_DONTNEED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from patina_hooks.search.manifest import Mask
    from patina_hooks.types import Keys, Vectors

    Rows = NDArray[np.intp]

F = TypeVar("F", Segment, Companion)
C = TypeVar("C")
"""What a companion is opened as."""
KEY_BYTES = 16
_HEADER = struct.Struct("<8sIIQI16s20x")
_MAGIC = b"patina\x00v"
_FORMAT = 1
_CHUNK = 4_096
_FEW = 32


@dataclass(frozen=True, slots=True)
class _Loaded:
    """The rows of a file, sorted by key, dead ones too: those are the manifest's to say."""

    keys: Keys
    vectors: Vectors
    mapped: mmap

    def find(self, wanted: Collection[bytes]) -> Rows:
        """The rows that have these keys. All keys have one length, so they compare as byte strings."""
        have = self.keys.view(f"S{KEY_BYTES}")
        want = np.array(sorted(wanted), dtype=have.dtype)
        rows = np.searchsorted(have, want)
        rows, want = rows[rows < len(have)], want[rows < len(have)]
        found: Rows = rows[have[rows] == want]
        return found


@dataclass(frozen=True, slots=True)
class Piece(Generic[C]):
    """What a search sees of a segment.

    keys [n], sorted; vectors [n, d]; usable [n]: rows that may answer; companion: made for all n rows, None
    where there is none.
    """

    keys: Keys
    vectors: Vectors
    usable: Mask
    companion: C | None
    mapped: mmap

    def few(self, rows: Rows) -> Vectors:
        """Copies [m, d] of single vectors out of a large file.

        The system maps up to a megabyte for each that is looked at, so what it mapped is given back on the
        way; it stays in the system's cache.
        """
        vectors = np.empty((len(rows), self.vectors.shape[1]), np.float32)
        for at in range(0, len(rows), _FEW):
            vectors[at : at + _FEW] = self.vectors[rows[at : at + _FEW]]
            if sys.platform != "win32":
                self.mapped.madvise(MADV_DONTNEED)
        return vectors


class SegmentedIndex(ABC, Generic[C]):
    """A `VectorIndex` but for its search. Opening reads the manifest and looks whether each file is
    untouched; files are mapped when they are needed."""

    suffix = ""
    """Of companions, with its dot; "" for a kind of index that has none."""
    native = False
    """Whether native code follows what a companion says, wherever that leads: only own ones are opened."""

    def __init__(self, folder: Path, dimensions: int, fingerprint: str) -> None:
        """Raises `IndexDamaged` where manifest or files are not what was written."""
        self._folder = folder
        self._dimensions = dimensions
        self._mark = blake2b(fingerprint.encode(), digest_size=16).digest()
        self._manifest = Manifest.read(folder)
        self._loaded: dict[str, _Loaded] = {}
        self._companions: dict[str, C] = {}
        trusted = tuple(self._trust(segment) for segment in self._manifest.segments)
        self._manifest = replace(self._manifest, segments=trusted)

    def upsert(self, keys: Sequence[bytes], vectors: Vectors) -> None:
        if len(keys):
            unique = {key: row for row, key in enumerate(keys)}  # the last one of a key counts
            kept = self._without(set(unique))
            fresh = self._write(list(unique), vectors[list(unique.values())])
            self._replace([*kept, fresh])

    def remove(self, keys: Sequence[bytes]) -> None:
        segments = self._without(set(keys))
        if segments != list(self._manifest.segments):
            self._replace(segments)

    def rebuild(self, keys: Sequence[bytes], vectors: Vectors) -> None:
        unique = {key: row for row, key in enumerate(keys)}
        self._replace([self._write(list(unique), vectors[list(unique.values())])] if unique else [])

    @abstractmethod
    def search(
        self, query: Vectors, limit: int, allowed: frozenset[bytes] | None = None
    ) -> list[tuple[bytes, float]]: ...

    def keys(self) -> frozenset[bytes]:
        segments = self._manifest.segments
        return frozenset(key.tobytes() for s in segments for key in self._open(s).keys[s.usable()])

    def stats(self) -> IndexStats:
        for segment in self._manifest.segments:
            self._open(segment)
        files = [file for segment in self._manifest.segments for file in segment.files]
        return IndexStats(self._alive, len(files), sum(f.size for f in files), self._manifest.generation)

    def verify(self) -> None:
        for segment in self._manifest.segments:
            for file in segment.files:
                self._check(file)

    # --- what a kind of index adds ----------------------------------------------------------------

    def _is_due(self, rows: int, alive: int) -> bool:
        """Whether a segment of so many rows is to have a companion; alive: vectors in the whole index."""
        return False

    def _make_companion(self, keys: Keys, vectors: Vectors) -> bytes | bytearray:
        """What is in it: a function of these rows alone."""
        raise NotImplementedError

    def _map_companion(self, path: Path, rows: int) -> C:
        """It, opened to be read. Raises OSError, ValueError or RuntimeError where that cannot be."""
        raise NotImplementedError

    @property
    def _alive(self) -> int:
        return sum(segment.alive for segment in self._manifest.segments)

    def _pieces(self, allowed: frozenset[bytes] | None) -> list[Piece[C]]:
        """Every segment, with those rows usable that live and are allowed."""
        return [self._piece(segment, allowed) for segment in self._manifest.segments]

    def _piece(self, segment: Segment, allowed: frozenset[bytes] | None) -> Piece[C]:
        rows, usable = self._open(segment), segment.usable()
        if allowed is not None:
            chosen = np.zeros(segment.rows, np.bool_)
            chosen[rows.find(allowed)] = True
            usable &= chosen
        return Piece(rows.keys, rows.vectors, usable, self._beside(segment), rows.mapped)

    # --- writing --------------------------------------------------------------------------------

    def _without(self, keys: set[bytes]) -> list[Segment]:
        """The segments with these keys dead; a segment more than a fifth dead is written anew."""
        kept = []
        for segment in self._manifest.segments:
            dead = set(self._open(segment).find(keys).tolist())
            if dead.difference(segment.dead):
                segment = replace(segment, dead=tuple(sorted({*segment.dead, *dead})))  # noqa: PLW2901
            if segment.alive:
                kept.append(segment)
        return kept

    def _replace(self, segments: list[Segment]) -> None:
        merged = self._merged(segments)
        alive = sum(segment.alive for segment in merged)
        accompanied = tuple(self._accompanied(segment, alive) for segment in merged)
        manifest = Manifest(self._manifest.generation + 1, accompanied)
        manifest.write(self._folder)
        self._manifest = manifest
        self._loaded.clear()
        self._companions.clear()
        named = {MANIFEST, *(file.file for segment in accompanied for file in segment.files)}
        for path in self._folder.iterdir():
            if path.name not in named:
                remove(path)

    def _merged(self, segments: list[Segment]) -> list[Segment]:
        """Each segment more than twice as large as those before it, none with a fifth of its rows dead."""
        groups: list[list[Segment]] = []
        for segment in sorted(segments, key=lambda s: s.alive):
            if groups and segment.alive <= 2 * sum(s.alive for s in groups[-1]):
                groups[-1].append(segment)
            else:
                groups.append([segment])
        return [
            group[0] if len(group) == 1 and len(group[0].dead) * 5 <= group[0].rows else self._join(group)
            for group in groups
        ]

    def _join(self, group: list[Segment]) -> Segment:
        rows = [(self._open(segment), segment.usable()) for segment in group]
        keys = [key.tobytes() for one, usable in rows for key in one.keys[usable]]
        return self._write(keys, np.concatenate([one.vectors[usable] for one, usable in rows]))

    def _write(self, keys: list[bytes], vectors: Vectors) -> Segment:
        order = sorted(range(len(keys)), key=keys.__getitem__)
        split = _HEADER.size + KEY_BYTES * len(keys)
        data = bytearray(split + 4 * self._dimensions * len(keys))  # the one copy of what may be a gigabyte
        data[_HEADER.size : split] = b"".join(keys[i] for i in order)
        rows = np.frombuffer(data, "<f4", offset=split).reshape(len(keys), self._dimensions)
        for at in range(0, len(keys), _CHUNK):
            rows[at : at + _CHUNK] = vectors[order[at : at + _CHUNK]]
        crc = zlib.crc32(memoryview(data)[_HEADER.size :])
        data[: _HEADER.size] = _HEADER.pack(_MAGIC, _FORMAT, self._dimensions, len(keys), crc, self._mark)
        name = f"{blake2b(data[:split], digest_size=12).hexdigest()}.vectors"
        stat = replace_file(self._folder / name, data)
        return Segment(name, stat.st_size, Segment.time(stat), stat.st_ino, len(keys))

    def _accompanied(self, segment: Segment, alive: int) -> Segment:
        """The segment with its companion, where one is due; one that can be opened stays while the segment
        does."""
        if self.native and self._beside(segment) is None:
            segment = replace(segment, companion=None)
        if segment.companion or not self._is_due(segment.rows, alive):
            return segment
        key = own_key() if self.native else b""
        if key is None:  # nothing would open it
            return segment
        rows = self._open(segment)
        data = self._make_companion(rows.keys, rows.vectors)
        name = f"{Path(segment.file).stem}{self.suffix}"
        stat = replace_file(self._folder / name, data)
        digest = sha256(data).hexdigest()
        beside = Companion(name, stat.st_size, Companion.time(stat), stat.st_ino, digest)
        return replace(segment, companion=beside.sealed(key))

    # --- reading --------------------------------------------------------------------------------

    def _open(self, segment: Segment) -> _Loaded:
        if segment.file in self._loaded:
            return self._loaded[segment.file]
        path = self._folder / segment.file
        split = _HEADER.size + KEY_BYTES * segment.rows
        try:
            with path.open("rb") as file:
                mapped = mmap(file.fileno(), 0, access=ACCESS_READ)
            raw = np.frombuffer(mapped, np.uint8)
            self._check_header(segment, path, raw[: _HEADER.size].tobytes())
            one = _Loaded(
                keys=raw[_HEADER.size : split].view(np.dtype((np.void, KEY_BYTES))),
                vectors=raw[split:].view("<f4").reshape(segment.rows, self._dimensions),
                mapped=mapped,
            )
        except (OSError, ValueError) as error:
            raise IndexDamaged(f"{path}: {error}", hint="patina sync") from error
        self._loaded[segment.file] = one
        return one

    def _beside(self, segment: Segment) -> C | None:
        """The companion, opened; one of another kind of index is passed over by a kind that has none.

        None for one that native code refuses to read, of another version's format: the segment is scanned
        until the next write makes it anew.
        """
        if segment.companion is None or not self.suffix:
            return None
        name = segment.companion.file
        if name not in self._companions:
            try:
                self._companions[name] = self._map_companion(self._folder / name, segment.rows)
            except (OSError, ValueError, RuntimeError) as error:
                if self.native:
                    return None
                raise IndexDamaged(f"{self._folder / name}: {error}", hint="patina sync") from error
        return self._companions[name]

    def _trust(self, segment: Segment) -> Segment:
        """Look at untouched files no further; read any other (of a copied folder, say) against its checksum.

        Gives the segment as it is now, for the next manifest; without a companion that may not be opened.
        """
        beside = segment.companion and self._own(segment.companion)
        return replace(self._looked_at(segment), companion=beside)

    def _own(self, companion: Companion) -> Companion | None:
        """It; None where native code would follow what another machine wrote, a stranger's archive, say."""
        if not self.native:
            return self._looked_at(companion)
        key = own_key()
        if key is None or companion != companion.sealed(key):
            return None
        return self._looked_at(companion).sealed(key)

    def _looked_at(self, file: F) -> F:
        path = self._folder / file.file
        try:
            stat = path.stat()
        except OSError as error:
            raise IndexDamaged(f"{path}: {error.strerror}", hint="patina sync") from error
        if (stat.st_size, file.time(stat), stat.st_ino) != (file.size, file.changed, file.inode):
            self._check(file)
        return replace(file, changed=file.time(stat), inode=stat.st_ino)

    def _check_header(self, segment: Segment, path: Path, header: bytes) -> int:
        if len(header) < _HEADER.size:
            raise IndexDamaged(f"{path}: cut off", hint="patina sync")
        crc = _HEADER.unpack(header)[4]
        if header != _HEADER.pack(_MAGIC, _FORMAT, self._dimensions, segment.rows, crc, self._mark):
            raise IndexDamaged(f"{path}: made by another model, or altered", hint="patina sync")
        return int(crc)

    def _check(self, file: Segment | Companion) -> None:
        """Read all of a file against its checksum."""
        path = self._folder / file.file
        try:
            data = path.read_bytes()
        except OSError as error:
            raise IndexDamaged(f"{path}: {error.strerror}", hint="patina sync") from error
        if isinstance(file, Companion):
            whole = sha256(data).hexdigest() == file.sha256
        else:
            crc = self._check_header(file, path, data[: _HEADER.size])
            whole = zlib.crc32(memoryview(data)[_HEADER.size :]) == crc
        if len(data) != file.size or not whole:
            raise IndexDamaged(f"{path}: not what was written", hint="patina sync")
