"""Vectors in segments that are never changed once written: what every built-in index stands on.

A write adds one small segment, and merges segments whose size it has caught up with, so that a write costs
in proportion to itself (amortised, as in a log-structured merge tree), and a search looks at a handful of
files. What holds is said by `manifest.json` alone, replaced atomically; files that it does not name are
left-overs of a killed write and are removed by the next one.

Segment file: 64-byte header (magic, version, dimensions, rows, CRC-32 of the rest, fingerprint), then rows
x 16-byte keys, sorted, then rows x dimensions float32, little-endian. A kind of index may keep one more file
beside a segment, its companion, which follows from that segment alone (a graph, short vectors). On opening, a
file that is untouched since it was written is trusted, any other is read against its checksum first. A kind
of index may leave a companion aside; the next write then makes it again.
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
from patina_hooks.search.index.manifest import MANIFEST, Companion, Manifest, Segment
from patina_hooks.specs.vectors import IndexStats
from patina_hooks.system.files import remove_path, replace_file, write_file

if sys.platform != "win32":
    from mmap import MADV_DONTNEED

if TYPE_CHECKING:
    from patina_hooks.search.index.manifest import Mask
    from patina_hooks.specs.vectors import Keys, Rows, Vectors


def _sorted_keys(keys: Collection[bytes]) -> Keys:
    return np.array(sorted(keys), dtype=f"S{KEY_BYTES}")


F = TypeVar("F", Segment, Companion)
C = TypeVar("C")
"""What a companion is opened as."""
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
    """The rows of a file, sorted by key, dead ones too: those are the manifest's to say."""

    keys: Keys
    vectors: Vectors
    mapped: mmap

    def find(self, wanted: Collection[bytes]) -> Rows:
        """The rows that have these keys. All keys have one length, so they compare as byte strings."""
        return self.find_sorted(_sorted_keys(wanted))

    def find_sorted(self, want: Keys) -> Rows:
        """The rows that have these keys, as `_sorted_keys` gives them."""
        have = self.keys.view(f"S{KEY_BYTES}")
        rows = np.searchsorted(have, want)
        rows, want = rows[rows < len(have)], want[rows < len(have)]
        found: Rows = rows[have[rows] == want]
        return found


@dataclass(frozen=True, slots=True)
class _Source:
    """A segment that is joined with others. rows: those that answer."""

    loaded: _Loaded
    rows: Rows

    def release(self) -> None:
        """Give back what the system mapped of the file."""
        if sys.platform != "win32":
            self.loaded.mapped.madvise(MADV_DONTNEED)


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
    most_rows = 0
    """Of one segment; one of half as many is never joined with others again. 0 for no limit."""

    def __init__(self, folder: Path, dimensions: int, fingerprint: str) -> None:
        """Raises `IndexDamaged` where manifest or files are not what was written."""
        self._folder = folder
        self._dimensions = dimensions
        self._mark = blake2b(fingerprint.encode(), digest_size=16).digest()
        self._manifest = Manifest.read(folder)
        self._loaded: dict[str, _Loaded] = {}
        self._companions: dict[str, C | None] = {}
        self._allowed: tuple[frozenset[bytes], Keys] = (frozenset(), _sorted_keys(()))
        trusted = tuple(self._trust(segment) for segment in self._manifest.segments)
        self._manifest = replace(self._manifest, segments=trusted)

    def upsert(self, keys: Sequence[bytes], vectors: Vectors) -> None:
        if len(keys):
            kept = self._without(set(keys))
            self._replace([*kept, *self._write_rows(keys, vectors)])

    def remove(self, keys: Sequence[bytes]) -> None:
        segments = self._without(set(keys))
        if segments != list(self._manifest.segments):
            self._replace(segments)

    def rebuild(self, keys: Sequence[bytes], vectors: Vectors) -> None:
        self._replace(self._write_rows(keys, vectors) if len(keys) else [])

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
        """Tell whether to make the companion of a segment now.

        Args:
            rows: of the segment.
            alive: vectors in the whole index.
        """
        return False

    def _make_companion(self, keys: Keys, vectors: Vectors) -> bytes | bytearray:
        """What is in it: a function of these rows alone."""
        raise NotImplementedError

    def _map_companion(self, path: Path, rows: int) -> C | None:
        """Open a companion to be read; None to leave it aside.

        Raises:
            OSError, ValueError: it is not what was written.
        """
        raise NotImplementedError

    def _trust_companion(self, companion: Companion) -> Companion | None:
        """Check a companion of the manifest; None to leave it aside, unread.

        Raises:
            IndexDamaged: it is not what was written.
        """
        return self._looked_at(companion)

    def _seal(self, companion: Companion) -> Companion:
        """Add what this kind of index says of a file that it wrote."""
        return companion

    @property
    def _alive(self) -> int:
        return sum(segment.alive for segment in self._manifest.segments)

    def _pieces(self, allowed: frozenset[bytes] | None) -> list[Piece[C]]:
        """Every segment, with those rows usable that live and are allowed."""
        if allowed is not None and self._allowed[0] is not allowed:
            self._allowed = (allowed, _sorted_keys(allowed))
        wanted = None if allowed is None else self._allowed[1]
        return [self._piece(segment, wanted) for segment in self._manifest.segments]

    def _piece(self, segment: Segment, wanted: Keys | None) -> Piece[C]:
        rows, usable = self._open(segment), segment.usable()
        if wanted is not None:
            chosen = np.zeros(segment.rows, np.bool_)
            chosen[rows.find_sorted(wanted)] = True
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
                remove_path(path)

    def _merged(self, segments: list[Segment]) -> list[Segment]:
        """Each segment more than twice as large as those before it, none with a fifth of its rows dead.

        One that is full stays as it is, and what is joined is split into segments that are no larger.
        """
        most = self.most_rows or _NO_LIMIT
        sound = [s for s in segments if len(s.dead) * 5 <= s.rows and s.rows <= most]
        full = [segment for segment in sound if segment.alive * 2 >= most]
        groups: list[list[Segment]] = []
        for segment in sorted((s for s in segments if s not in full), key=lambda s: s.alive):
            if groups and segment.alive <= 2 * sum(s.alive for s in groups[-1]):
                groups[-1].append(segment)
            else:
                groups.append([segment])
        for group in groups:
            full += group if len(group) == 1 and group[0] in sound else self._join(group)
        return sorted(full, key=lambda segment: segment.alive)

    def _join(self, group: list[Segment]) -> list[Segment]:
        """Write the rows of some segments that answer as one, or as several where they are too many."""
        sources = [_Source(self._open(segment), np.flatnonzero(segment.usable())) for segment in group]
        sizes = [len(source.rows) for source in sources]
        keys = np.concatenate([source.loaded.keys[source.rows] for source in sources])
        origin = np.repeat(np.arange(len(sources)), sizes)
        rows = np.concatenate([source.rows for source in sources])

        def read(at: Rows) -> Vectors:
            vectors = np.empty((len(at), self._dimensions), np.float32)
            for number, source in enumerate(sources):
                here = np.flatnonzero(origin[at] == number)
                vectors[here] = source.loaded.vectors[rows[at[here]]]
                source.release()
            return vectors

        return self._write_parts(keys, read)

    def _write_rows(self, keys: Sequence[bytes], vectors: Vectors) -> list[Segment]:
        """Write rows that are in memory; of a key that is there twice, the last."""
        unique = {key: row for row, key in enumerate(keys)}
        at = np.fromiter(unique.values(), np.intp, len(unique))
        packed = np.frombuffer(b"".join(unique), np.dtype((np.void, KEY_BYTES)))
        return self._write_parts(packed, lambda some: vectors[at[some]])

    def _write_parts(self, keys: Keys, read: Callable[[Rows], Vectors]) -> list[Segment]:
        order = np.argsort(keys.view(f"S{KEY_BYTES}"), kind="stable")
        parts = -(-len(order) // (self.most_rows or _NO_LIMIT))
        return [self._write(keys, part, read) for part in np.array_split(order, parts) if len(part)]

    def _write(self, keys: Keys, order: Rows, read: Callable[[Rows], Vectors]) -> Segment:
        """Write a segment in pieces: a file may be larger than the memory that is left.

        Args:
            keys: [n] of all rows.
            order: [m] the rows to write, sorted by key.
            read: gives the vectors [k, d] of some of them.
        """

        def write(file: BinaryIO) -> str:
            ordered = keys[order].tobytes()
            file.write(bytes(_HEADER.size))
            file.write(ordered)
            crc = zlib.crc32(ordered)
            for at in range(0, len(order), _CHUNK):
                data = np.ascontiguousarray(read(order[at : at + _CHUNK]), "<f4").tobytes()
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

    def _accompanied(self, segment: Segment, alive: int) -> Segment:
        """The segment with its companion, where one is due; one that can be opened stays while the segment
        does."""
        if self.suffix and self._beside(segment) is None:
            segment = replace(segment, companion=None)
        if segment.companion or not self._is_due(segment.rows, alive):
            return segment
        rows = self._open(segment)
        data = self._make_companion(rows.keys, rows.vectors)
        name = f"{Path(segment.file).stem}{self.suffix}"
        stat = replace_file(self._folder / name, data)
        digest = sha256(data).hexdigest()
        beside = Companion(name, stat.st_size, Companion.time(stat), stat.st_ino, digest)
        return replace(segment, companion=self._seal(beside))

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
        """The companion, opened; one of another kind of index is passed over by a kind that has none."""
        if segment.companion is None or not self.suffix:
            return None
        name = segment.companion.file
        if name not in self._companions:
            try:
                self._companions[name] = self._map_companion(self._folder / name, segment.rows)
            except (OSError, ValueError) as error:
                raise IndexDamaged(f"{self._folder / name}: {error}", hint="patina sync") from error
        return self._companions[name]

    def _trust(self, segment: Segment) -> Segment:
        """Look at untouched files no further; read any other (of a copied folder, say) against its checksum.

        Gives the segment as it is now, for the next manifest; without a companion that may not be opened.
        """
        beside = segment.companion and self._trust_companion(segment.companion)
        return replace(self._looked_at(segment), companion=beside)

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
            with path.open("rb") as data:
                whole = self._is_whole(file, path, data)
        except OSError as error:
            raise IndexDamaged(f"{path}: {error.strerror}", hint="patina sync") from error
        if not whole:
            raise IndexDamaged(f"{path}: not what was written", hint="patina sync")

    def _is_whole(self, file: Segment | Companion, path: Path, data: BinaryIO) -> bool:
        crc, digest, size = 0, sha256(), 0
        if isinstance(file, Segment):
            header = data.read(_HEADER.size)
            wanted, size = self._check_header(file, path, header), len(header)
        while part := data.read(_READ_AT_ONCE):
            size += len(part)
            if isinstance(file, Segment):
                crc = zlib.crc32(part, crc)
            else:
                digest.update(part)
        same = crc == wanted if isinstance(file, Segment) else digest.hexdigest() == file.sha256
        return same and size == file.size
