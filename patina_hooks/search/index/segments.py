"""Vectors in immutable segments: the base of every built-in index.

A write adds one small segment, and merges segments whose size it has reached, so that the cost of a write is
proportional to its size (amortised, as in a log-structured merge tree), and a search reads a few files. Only
`manifest.json`, replaced atomically, states which files are valid; others are left-overs of a killed write,
which the next write removes.

Segment file: 64-byte header (magic, version, dimensions, rows, CRC-32 of the rest, fingerprint), then rows
x 16-byte keys, sorted, then rows x dimensions float32, little-endian. A kind of index may store one more file
per segment, its sidecar, a function of that segment only (a graph, short vectors). On opening, a file that
did not change since it was written is trusted; any other is checked against its checksum. A kind of index
may ignore a sidecar; the next write then makes it again.
"""

from __future__ import annotations

import struct
import sys
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b, sha256
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Generic, TypeVar

import numpy as np

from patina_hooks.errors import IndexDamaged
from patina_hooks.search.index.manifest import MANIFEST, Manifest, Segment, SidecarFile
from patina_hooks.specs.vectors import IndexStats
from patina_hooks.system.files import remove_path, replace_file, write_file

if sys.platform != "win32":
    from mmap import MADV_DONTNEED

if TYPE_CHECKING:
    from patina_hooks.search.index.manifest import Mask
    from patina_hooks.specs.vectors import Keys, Rows, Vectors


def _sorted_keys(keys: Collection[bytes]) -> Keys:
    return np.array(sorted(keys), dtype=f"S{KEY_BYTES}")


F = TypeVar("F", Segment, SidecarFile)
C = TypeVar("C")
"""The type of an open sidecar."""
KEY_BYTES = 16
_HEADER = struct.Struct("<8sIIQI16s20x")
_MAGIC = b"patina\x00v"
_FORMAT = 1
_CHUNK = 4_096
_READ_AT_ONCE = 1 << 22
_FEW = 32
_NO_LIMIT = 1 << 62


@dataclass(frozen=True, slots=True)
class _Loaded:
    """The rows of a file, sorted by key, with those that the manifest lists as dead."""

    keys: Keys
    vectors: Vectors
    mapped: mmap

    def find(self, keys: Collection[bytes]) -> Rows:
        """Return the rows that have these keys, compared as byte strings of one length."""
        return self.find_sorted(_sorted_keys(keys))

    def find_sorted(self, keys: Keys) -> Rows:
        """Return the rows that have these keys, sorted by `_sorted_keys`."""
        stored = self.keys.view(f"S{KEY_BYTES}")
        rows = np.searchsorted(stored, keys)
        rows, keys = rows[rows < len(stored)], keys[rows < len(stored)]
        matches: Rows = rows[stored[rows] == keys]
        return matches


@dataclass(frozen=True, slots=True)
class _Source:
    """A segment to merge with others. rows: the live ones."""

    loaded: _Loaded
    rows: Rows

    def release(self) -> None:
        """Release the mapped memory of the file."""
        if sys.platform != "win32":
            self.loaded.mapped.madvise(MADV_DONTNEED)


@dataclass(frozen=True, slots=True)
class SegmentView(Generic[C]):
    """A segment as a search reads it.

    keys: [n], sorted.
    vectors: [n, d].
    usable: [n], rows that may be answers.
    sidecar: of all n rows, None without one.
    """

    keys: Keys
    vectors: Vectors
    usable: Mask
    sidecar: C | None
    mapped: mmap

    def few(self, rows: Rows) -> Vectors:
        """Copy single vectors [m, d] from a large file.

        The system maps up to a megabyte for each vector, so the mapping is released every few vectors; the
        data stays in the system's cache.
        """
        vectors = np.empty((len(rows), self.vectors.shape[1]), np.float32)
        for start in range(0, len(rows), _FEW):
            vectors[start : start + _FEW] = self.vectors[rows[start : start + _FEW]]
            if sys.platform != "win32":
                self.mapped.madvise(MADV_DONTNEED)
        return vectors


class SegmentedIndex(ABC, Generic[C]):
    """A `VectorIndex` without its search.

    Opening reads the manifest and checks whether files changed; files are mapped when they are needed.
    """

    suffix = ""
    """The suffix of sidecars, with its dot; "" for a kind of index without sidecars."""
    most_rows = 0
    """The limit of rows of a segment, which is not merged again above half of it; 0 for no limit."""

    def __init__(self, folder: Path, dimensions: int, fingerprint: str) -> None:
        """Open an index. Raises `IndexDamaged` if manifest or files were altered."""
        self._folder = folder
        self._dimensions = dimensions
        self._mark = blake2b(fingerprint.encode(), digest_size=16).digest()
        self._manifest = Manifest.read(folder)
        self._loaded: dict[str, _Loaded] = {}
        self._sidecars: dict[str, C | None] = {}
        self._allowed: tuple[frozenset[bytes], Keys] = (frozenset(), _sorted_keys(()))
        trusted = tuple(self._trust(segment) for segment in self._manifest.segments)
        self._manifest = replace(self._manifest, segments=trusted)

    def upsert(self, keys: Sequence[bytes], vectors: Vectors) -> None:
        if len(keys):
            segments = self._mark_dead(set(keys))
            self._replace_segments([*segments, *self._write_rows(keys, vectors)])

    def remove(self, keys: Sequence[bytes]) -> None:
        segments = self._mark_dead(set(keys))
        if segments != list(self._manifest.segments):
            self._replace_segments(segments)

    def rebuild(self, keys: Sequence[bytes], vectors: Vectors) -> None:
        self._replace_segments(self._write_rows(keys, vectors) if len(keys) else [])

    @abstractmethod
    def search(
        self, query: Vectors, limit: int, allowed: frozenset[bytes] | None = None
    ) -> list[tuple[bytes, float]]: ...

    def keys(self) -> frozenset[bytes]:
        segments = self._manifest.segments
        return frozenset(
            key.tobytes() for segment in segments for key in self._open(segment).keys[segment.usable()]
        )

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
        """Tell whether to make the sidecar of a segment now.

        Args:
            rows: of the segment.
            alive: vectors in the whole index.
        """
        return False

    def _make_sidecar(self, keys: Keys, vectors: Vectors) -> bytes | bytearray:
        """Make the content of a sidecar, a function of these rows only."""
        raise NotImplementedError

    def _map_sidecar(self, path: Path, rows: int) -> C | None:
        """Open a sidecar, or return None to ignore it.

        Raises:
            OSError, ValueError: it was altered.
        """
        raise NotImplementedError

    def _trust_sidecar(self, sidecar: SidecarFile) -> SidecarFile | None:
        """Check a sidecar of the manifest, or return None to ignore it, unread.

        Raises:
            IndexDamaged: it was altered.
        """
        return self._refresh(sidecar)

    def _seal(self, sidecar: SidecarFile) -> SidecarFile:
        """Add the seal of this kind of index to a file that it wrote."""
        return sidecar

    @property
    def _alive(self) -> int:
        return sum(segment.alive for segment in self._manifest.segments)

    def _segment_views(self, allowed: frozenset[bytes] | None) -> list[SegmentView[C]]:
        """Return a view of every segment, in which live and allowed rows are usable."""
        if allowed is not None and self._allowed[0] is not allowed:
            self._allowed = (allowed, _sorted_keys(allowed))
        sorted_keys = None if allowed is None else self._allowed[1]
        return [self._segment_view(segment, sorted_keys) for segment in self._manifest.segments]

    def _segment_view(self, segment: Segment, allowed: Keys | None) -> SegmentView[C]:
        loaded, usable = self._open(segment), segment.usable()
        if allowed is not None:
            allowed_rows = np.zeros(segment.rows, np.bool_)
            allowed_rows[loaded.find_sorted(allowed)] = True
            usable &= allowed_rows
        return SegmentView(loaded.keys, loaded.vectors, usable, self._open_sidecar(segment), loaded.mapped)

    # --- writing --------------------------------------------------------------------------------

    def _mark_dead(self, keys: set[bytes]) -> list[Segment]:
        """Mark these keys as dead, and return the segments with live rows."""
        remaining = []
        for segment in self._manifest.segments:
            dead = set(self._open(segment).find(keys).tolist())
            if dead.difference(segment.dead):
                segment = replace(segment, dead=tuple(sorted({*segment.dead, *dead})))  # noqa: PLW2901
            if segment.alive:
                remaining.append(segment)
        return remaining

    def _replace_segments(self, segments: list[Segment]) -> None:
        merged = self._merge(segments)
        alive = sum(segment.alive for segment in merged)
        accompanied = tuple(self._add_sidecar(segment, alive) for segment in merged)
        manifest = Manifest(self._manifest.generation + 1, accompanied)
        manifest.write(self._folder)
        self._manifest = manifest
        self._loaded.clear()
        self._sidecars.clear()
        named = {MANIFEST, *(file.file for segment in accompanied for file in segment.files)}
        for path in self._folder.iterdir():
            if path.name not in named:
                remove_path(path)

    def _merge(self, segments: list[Segment]) -> list[Segment]:
        """Merge segments until each is more than twice as large as those before it.

        Segments with more than a fifth of dead rows are written again. A full segment stays unchanged, and
        merged rows are split into segments within the limit.
        """
        limit = self.most_rows or _NO_LIMIT
        sound = [
            segment for segment in segments if len(segment.dead) * 5 <= segment.rows and segment.rows <= limit
        ]
        full = [segment for segment in sound if segment.alive * 2 >= limit]
        groups: list[list[Segment]] = []
        for segment in sorted(
            (segment for segment in segments if segment not in full), key=lambda segment: segment.alive
        ):
            if groups and segment.alive <= 2 * sum(segment.alive for segment in groups[-1]):
                groups[-1].append(segment)
            else:
                groups.append([segment])
        for group in groups:
            full += group if len(group) == 1 and group[0] in sound else self._join(group)
        return sorted(full, key=lambda segment: segment.alive)

    def _join(self, group: list[Segment]) -> list[Segment]:
        """Write the live rows of some segments as one, or as several above the limit."""
        sources = [_Source(self._open(segment), np.flatnonzero(segment.usable())) for segment in group]
        sizes = [len(source.rows) for source in sources]
        keys = np.concatenate([source.loaded.keys[source.rows] for source in sources])
        origin = np.repeat(np.arange(len(sources)), sizes)
        rows = np.concatenate([source.rows for source in sources])

        def read_rows(positions: Rows) -> Vectors:
            vectors = np.empty((len(positions), self._dimensions), np.float32)
            for number, source in enumerate(sources):
                own = np.flatnonzero(origin[positions] == number)
                vectors[own] = source.loaded.vectors[rows[positions[own]]]
                source.release()
            return vectors

        return self._write_parts(keys, read_rows)

    def _write_rows(self, keys: Sequence[bytes], vectors: Vectors) -> list[Segment]:
        """Write rows from memory; of a repeated key, the last."""
        unique = {key: row for row, key in enumerate(keys)}
        rows = np.fromiter(unique.values(), np.intp, len(unique))
        packed = np.frombuffer(b"".join(unique), np.dtype((np.void, KEY_BYTES)))
        return self._write_parts(packed, lambda part: vectors[rows[part]])

    def _write_parts(self, keys: Keys, read_rows: Callable[[Rows], Vectors]) -> list[Segment]:
        order = np.argsort(keys.view(f"S{KEY_BYTES}"), kind="stable")
        parts = -(-len(order) // (self.most_rows or _NO_LIMIT))
        return [
            self._write_segment(keys, part, read_rows) for part in np.array_split(order, parts) if len(part)
        ]

    def _write_segment(self, keys: Keys, order: Rows, read_rows: Callable[[Rows], Vectors]) -> Segment:
        """Write a segment in chunks, since it may be larger than the free memory.

        Args:
            keys: [n] of all rows.
            order: [m] the rows to write, sorted by key.
            read_rows: returns the vectors [k, d] of some of them.
        """

        def write(file: BinaryIO) -> str:
            ordered = keys[order].tobytes()
            file.write(bytes(_HEADER.size))
            file.write(ordered)
            crc = zlib.crc32(ordered)
            for start in range(0, len(order), _CHUNK):
                data = np.ascontiguousarray(read_rows(order[start : start + _CHUNK]), "<f4").tobytes()
                crc = zlib.crc32(data, crc)
                file.write(data)
            header = _HEADER.pack(_MAGIC, _FORMAT, self._dimensions, len(order), crc, self._mark)
            file.seek(0)
            file.write(header)
            names.append(f"{blake2b(header + ordered, digest_size=12).hexdigest()}.vectors")
            return names[0]

        names: list[str] = []
        stat = write_file(self._folder, write)
        return Segment(names[0], stat.st_size, Segment.time(stat), stat.st_ino, len(order))

    def _add_sidecar(self, segment: Segment, alive: int) -> Segment:
        """Add a sidecar to a segment if one is due; a sidecar that can be opened stays."""
        if self.suffix and self._open_sidecar(segment) is None:
            segment = replace(segment, sidecar=None)
        if segment.sidecar or not self._is_due(segment.rows, alive):
            return segment
        loaded = self._open(segment)
        data = self._make_sidecar(loaded.keys, loaded.vectors)
        name = f"{Path(segment.file).stem}{self.suffix}"
        stat = replace_file(self._folder / name, data)
        digest = sha256(data).hexdigest()
        sidecar = SidecarFile(name, stat.st_size, SidecarFile.time(stat), stat.st_ino, digest)
        return replace(segment, sidecar=self._seal(sidecar))

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
            loaded = _Loaded(
                keys=raw[_HEADER.size : split].view(np.dtype((np.void, KEY_BYTES))),
                vectors=raw[split:].view("<f4").reshape(segment.rows, self._dimensions),
                mapped=mapped,
            )
        except (OSError, ValueError) as error:
            raise IndexDamaged(f"{path}: {error}", hint="patina sync") from error
        self._loaded[segment.file] = loaded
        return loaded

    def _open_sidecar(self, segment: Segment) -> C | None:
        """Open the sidecar of a segment, None without one or if this kind of index has none."""
        if segment.sidecar is None or not self.suffix:
            return None
        name = segment.sidecar.file
        if name not in self._sidecars:
            try:
                self._sidecars[name] = self._map_sidecar(self._folder / name, segment.rows)
            except (OSError, ValueError) as error:
                raise IndexDamaged(f"{self._folder / name}: {error}", hint="patina sync") from error
        return self._sidecars[name]

    def _trust(self, segment: Segment) -> Segment:
        """Trust unchanged files; check any other (of a copied folder, say) against its checksum.

        Returns:
            The segment for the next manifest, without a sidecar that must not be opened.
        """
        sidecar = segment.sidecar and self._trust_sidecar(segment.sidecar)
        return replace(self._refresh(segment), sidecar=sidecar)

    def _refresh(self, file: F) -> F:
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
            raise IndexDamaged(f"{path}: truncated", hint="patina sync")
        crc = _HEADER.unpack(header)[4]
        if header != _HEADER.pack(_MAGIC, _FORMAT, self._dimensions, segment.rows, crc, self._mark):
            raise IndexDamaged(f"{path}: written by another model, or altered", hint="patina sync")
        return int(crc)

    def _check(self, file: Segment | SidecarFile) -> None:
        """Check a whole file against its checksum."""
        path = self._folder / file.file
        try:
            with path.open("rb") as data:
                is_intact = self._is_intact(file, path, data)
        except OSError as error:
            raise IndexDamaged(f"{path}: {error.strerror}", hint="patina sync") from error
        if not is_intact:
            raise IndexDamaged(f"{path}: altered since it was written", hint="patina sync")

    def _is_intact(self, file: Segment | SidecarFile, path: Path, data: BinaryIO) -> bool:
        crc, digest, size = 0, sha256(), 0
        if isinstance(file, Segment):
            header = data.read(_HEADER.size)
            expected_crc, size = self._check_header(file, path, header), len(header)
        while part := data.read(_READ_AT_ONCE):
            size += len(part)
            if isinstance(file, Segment):
                crc = zlib.crc32(part, crc)
            else:
                digest.update(part)
        same = crc == expected_crc if isinstance(file, Segment) else digest.hexdigest() == file.sha256
        return same and size == file.size
