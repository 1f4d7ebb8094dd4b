"""The exact index: an inner-product scan over segments that are never changed once written.

A write adds one small segment, and merges segments whose size it has caught up with, so that a write costs
in proportion to itself (amortised, as in a log-structured merge tree), and a search scans a handful of
files. What holds is said by `manifest.json` alone, replaced atomically; files that it does not name are
left-overs of a killed write and are removed by the next one.

Segment file: 64-byte header (magic, version, dimensions, rows, CRC-32 of the rest, fingerprint), then rows
x 16-byte keys, then rows x dimensions float32, little-endian. The manifest, with a CRC-32 of itself, keeps
each file's size, time of change and inode as it was written: on opening, an untouched file is trusted, any
other is read against its CRC first.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from patina_hooks.errors import IndexDamaged
from patina_hooks.files import replace_file
from patina_hooks.types import IndexStats

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from patina_hooks.types import Keys, Vectors

    Mask = NDArray[np.bool_]

KEY_BYTES = 16
_HEADER = struct.Struct("<8sIIQI16s20x")
_MAGIC = b"patina\x00v"
_FORMAT = 1
_MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class _Segment:
    """One file as the manifest knows it; dead: rows that were replaced or removed since."""

    file: str
    rows: int
    size: int
    changed: int
    inode: int
    dead: tuple[int, ...] = ()

    @property
    def alive(self) -> int:
        return self.rows - len(self.dead)

    def usable(self) -> Mask:
        """Which rows answer, [rows]."""
        mask = np.ones(self.rows, np.bool_)
        mask[list(self.dead)] = False
        return mask


@dataclass(frozen=True, slots=True)
class _Manifest:
    generation: int = 0
    segments: tuple[_Segment, ...] = ()


@dataclass(frozen=True, slots=True)
class _Loaded:
    """The rows of a file, sorted by key, dead ones too: those are the manifest's to say."""

    keys: Keys
    vectors: Vectors

    def find(self, wanted: Collection[bytes]) -> NDArray[np.intp]:
        """The rows that have these keys. All keys have one length, so they compare as byte strings."""
        have = self.keys.view(f"S{KEY_BYTES}")
        want = np.array(sorted(wanted), dtype=have.dtype)
        rows = np.searchsorted(have, want)
        rows, want = rows[rows < len(have)], want[rows < len(have)]
        found: NDArray[np.intp] = rows[have[rows] == want]
        return found


class ExactIndex:
    """A `VectorIndex`. Opening reads the manifest and looks whether each segment is untouched; segments are
    mapped when they are needed."""

    def __init__(self, folder: Path, dimensions: int, fingerprint: str) -> None:
        """Raises `IndexDamaged` where manifest or files are not what was written."""
        self._folder = folder
        self._dimensions = dimensions
        self._mark = blake2b(fingerprint.encode(), digest_size=16).digest()
        self._manifest = self._read_manifest()
        self._loaded: dict[str, _Loaded] = {}
        trusted = tuple(self._trust(segment) for segment in self._manifest.segments)
        self._manifest = _Manifest(self._manifest.generation, trusted)

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

    def search(
        self, query: Vectors, limit: int, allowed: frozenset[bytes] | None = None
    ) -> list[tuple[bytes, float]]:
        found: list[tuple[float, bytes]] = []
        for segment in self._manifest.segments:
            found += _scan(self._open(segment), segment.usable(), query, limit, allowed)
        found.sort(key=lambda pair: (-pair[0], pair[1]))
        return [(key, score) for score, key in found[:limit]]

    def keys(self) -> frozenset[bytes]:
        segments = self._manifest.segments
        return frozenset(key.tobytes() for s in segments for key in self._open(s).keys[s.usable()])

    def stats(self) -> IndexStats:
        segments = self._manifest.segments
        for segment in segments:
            self._open(segment)
        return IndexStats(
            rows=sum(s.alive for s in segments),
            files=len(segments),
            bytes=sum(s.size for s in segments),
            generation=self._manifest.generation,
        )

    def verify(self) -> None:
        for segment in self._manifest.segments:
            self._check(segment, self._folder / segment.file)

    # --- writing --------------------------------------------------------------------------------

    def _without(self, keys: set[bytes]) -> list[_Segment]:
        """The segments with these keys dead; a segment more than a fifth dead is written anew."""
        kept = []
        for segment in self._manifest.segments:
            dead = set(self._open(segment).find(keys).tolist())
            if dead.difference(segment.dead):
                segment = _with_dead(segment, dead)  # noqa: PLW2901
            if segment.alive:
                kept.append(segment)
        return kept

    def _replace(self, segments: list[_Segment]) -> None:
        manifest = _Manifest(self._manifest.generation + 1, tuple(self._merged(segments)))
        content = asdict(manifest)
        replace_file(self._folder / _MANIFEST, json.dumps({**content, "crc": _crc(content)}).encode())
        self._manifest = manifest
        self._loaded.clear()
        named = {_MANIFEST, *(segment.file for segment in manifest.segments)}
        for path in self._folder.iterdir():
            if path.name not in named:
                path.unlink(missing_ok=True)

    def _merged(self, segments: list[_Segment]) -> list[_Segment]:
        """Each segment more than twice as large as those before it, none with a fifth of its rows dead."""
        groups: list[list[_Segment]] = []
        for segment in sorted(segments, key=lambda s: s.alive):
            if groups and segment.alive <= 2 * sum(s.alive for s in groups[-1]):
                groups[-1].append(segment)
            else:
                groups.append([segment])
        return [
            group[0] if len(group) == 1 and len(group[0].dead) * 5 <= group[0].rows else self._join(group)
            for group in groups
        ]

    def _join(self, group: list[_Segment]) -> _Segment:
        rows = [(self._open(segment), segment.usable()) for segment in group]
        keys = [key.tobytes() for one, usable in rows for key in one.keys[usable]]
        return self._write(keys, np.concatenate([one.vectors[usable] for one, usable in rows]))

    def _write(self, keys: list[bytes], vectors: Vectors) -> _Segment:
        order = sorted(range(len(keys)), key=keys.__getitem__)
        body = b"".join(keys[i] for i in order) + np.ascontiguousarray(vectors[order], "<f4").tobytes()
        header = _HEADER.pack(_MAGIC, _FORMAT, self._dimensions, len(keys), zlib.crc32(body), self._mark)
        name = f"{blake2b(header + body[: 16 * len(keys)], digest_size=12).hexdigest()}.vectors"
        stat = replace_file(self._folder / name, header + body)
        return _Segment(name, len(keys), stat.st_size, stat.st_mtime_ns, stat.st_ino)

    # --- reading --------------------------------------------------------------------------------

    def _read_manifest(self) -> _Manifest:
        try:
            data = json.loads((self._folder / _MANIFEST).read_bytes())
            if data.pop("crc") != _crc(data):
                raise ValueError("altered since it was written")  # noqa: TRY301
            segments = tuple(_Segment(**{**s, "dead": tuple(s["dead"])}) for s in data["segments"])
            return _Manifest(int(data["generation"]), segments)
        except FileNotFoundError:
            return _Manifest()
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise IndexDamaged(f"{self._folder / _MANIFEST}: {error}", hint="patina sync") from error

    def _open(self, segment: _Segment) -> _Loaded:
        if segment.file in self._loaded:
            return self._loaded[segment.file]
        path = self._folder / segment.file
        split = _HEADER.size + KEY_BYTES * segment.rows
        try:
            raw = np.memmap(path, np.uint8, "r")
            self._check_header(segment, path, raw[: _HEADER.size].tobytes())
            one = _Loaded(
                keys=raw[_HEADER.size : split].view(np.dtype((np.void, KEY_BYTES))),
                vectors=raw[split:].view("<f4").reshape(segment.rows, self._dimensions),
            )
        except (OSError, ValueError) as error:
            raise IndexDamaged(f"{path}: {error}", hint="patina sync") from error
        self._loaded[segment.file] = one
        return one

    def _trust(self, segment: _Segment) -> _Segment:
        """Look at an untouched file no further; read any other (of a copied folder, say) against its CRC.

        Gives the segment as it is now, for the next manifest.
        """
        path = self._folder / segment.file
        try:
            stat = path.stat()
        except OSError as error:
            raise IndexDamaged(f"{path}: {error.strerror}", hint="patina sync") from error
        if (stat.st_size, stat.st_mtime_ns, stat.st_ino) != (segment.size, segment.changed, segment.inode):
            self._check(segment, path)
        return replace(segment, changed=stat.st_mtime_ns, inode=stat.st_ino)

    def _check_header(self, segment: _Segment, path: Path, header: bytes) -> int:
        if len(header) < _HEADER.size:
            raise IndexDamaged(f"{path}: cut off", hint="patina sync")
        crc = _HEADER.unpack(header)[4]
        if header != _HEADER.pack(_MAGIC, _FORMAT, self._dimensions, segment.rows, crc, self._mark):
            raise IndexDamaged(f"{path}: made by another model, or altered", hint="patina sync")
        return int(crc)

    def _check(self, segment: _Segment, path: Path) -> None:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise IndexDamaged(f"{path}: {error.strerror}", hint="patina sync") from error
        crc = self._check_header(segment, path, data[: _HEADER.size])
        if len(data) != segment.size or zlib.crc32(data[_HEADER.size :]) != crc:
            raise IndexDamaged(f"{path}: not what was written", hint="patina sync")


def _scan(
    one: _Loaded, usable: Mask, query: Vectors, limit: int, allowed: frozenset[bytes] | None
) -> list[tuple[float, bytes]]:
    """The best (score, key) of one segment; at least `limit`, or all, with every tie at the border."""
    if allowed is not None:
        chosen = np.zeros(len(usable), np.bool_)
        chosen[one.find(allowed)] = True
        usable = usable & chosen
    # Not `@`: it is hardly faster where memory is what takes the time, and the threads that it starts go on
    # spinning for a while, which slows the next question's model. Rounded, so that ties are ties.
    scores = np.where(usable, np.round(np.einsum("ij,j->i", one.vectors, query), 5), -np.inf)
    take = min(limit, int(usable.sum()))
    if not take:
        return []
    border = np.partition(scores, -take)[-take]
    rows = np.flatnonzero(scores >= border)
    return [(float(scores[row]), one.keys[row].tobytes()) for row in rows]


def _crc(manifest: object) -> int:
    return zlib.crc32(json.dumps(manifest).encode())


def _with_dead(segment: _Segment, rows: set[int]) -> _Segment:
    return replace(segment, dead=tuple(sorted({*segment.dead, *rows})))
