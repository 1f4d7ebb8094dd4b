"""The exact index: a dictionary that is searched, that survives, and that knows when it was damaged."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.dictionary import (
    DIMENSIONS,
    KEYS,
    ROWS,
    SETTINGS,
    VECTOR,
    LikeADictionary,
    Row,
    expected,
    found,
    upsert,
)

from patina_hooks.errors import IndexDamaged
from patina_hooks.search.index.exact import ExactIndex
from patina_hooks.system.files import replace_file, write_file

if TYPE_CHECKING:
    from patina_hooks.specs.vectors import Vectors


def open_index(folder: Path, dimensions: int = DIMENSIONS, fingerprint: str = "f") -> ExactIndex:
    return ExactIndex(folder, dimensions, fingerprint)


class ExactIsLikeADictionary(LikeADictionary):
    def opener(self, folder: Path) -> ExactIndex:
        return open_index(folder)

    def agrees(self, query: Row, limit: int, allowed: frozenset[bytes] | None) -> None:
        assert found(self.index, query, limit, allowed) == expected(self.model, query, limit, allowed)


TestLikeADictionary = ExactIsLikeADictionary.TestCase
TestLikeADictionary.settings = SETTINGS


@settings(deadline=None, max_examples=30)
@given(rows=ROWS, order=st.randoms(use_true_random=False), size=st.integers(1, 4), query=VECTOR)
def test_order_and_batches_of_the_same_writes_do_not_matter(
    rows: dict[bytes, Row], order: object, size: int, query: Row
) -> None:
    keys = sorted(rows)
    order.shuffle(keys)  # type: ignore[attr-defined]
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        whole, pieces = open_index(Path(one)), open_index(Path(other))
        upsert(whole, rows)
        for start in range(0, len(keys), size):
            upsert(pieces, {key: rows[key] for key in keys[start : start + size]})
        assert whole.search(np.array(query, np.float32), 5) == pieces.search(np.array(query, np.float32), 5)


# --- cost ---


def many(count: int) -> tuple[list[bytes], Vectors]:
    vectors = np.random.default_rng(7).standard_normal((count, 64)).astype(np.float32)
    return [number.to_bytes(16, "big") for number in range(count)], vectors


def test_a_write_costs_in_proportion_to_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys, vectors = many(10_000)
    index = open_index(tmp_path, 64)
    index.upsert(keys, vectors)
    whole = index.stats().bytes
    written: list[int] = []

    def replace_counted(path: Path, data: bytes) -> os.stat_result:
        written.append(len(data))
        return replace_file(path, data)

    def write_counted(folder: Path, write: Callable[[BinaryIO], str]) -> os.stat_result:
        status = write_file(folder, write)
        written.append(status.st_size)
        return status

    monkeypatch.setattr("patina_hooks.search.index.segments.write_file", write_counted)
    monkeypatch.setattr("patina_hooks.search.index.manifest.replace_file", replace_counted)
    index.upsert([b"one".ljust(16)], vectors[:1])
    assert len(written) == 2
    assert sum(written) < 2_000
    written.clear()
    for number in range(256):
        index.upsert([b"n%015d" % number], vectors[:1])
    # A row is written again only as often as the sizes double.
    assert sum(written) < whole
    assert index.stats().files < 10


# --- damage ---


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two segments, one of them with a dead row."""
    index = open_index(tmp_path)
    upsert(index, {key: (1.0, 0.0, 0.0, n / 8) for n, key in enumerate(KEYS[:12])})
    upsert(index, {KEYS[12]: (0.0, 1.0, 0.0, 0.0)})
    index.remove([KEYS[3]])
    assert index.stats().files == 2
    return tmp_path


def use(folder: Path) -> None:
    index = open_index(folder)
    index.keys()
    found(index, (1.0, 0.0, 0.0, 0.0), 5)


def largest(folder: Path) -> Path:
    return max(folder.glob("*.vectors"), key=lambda path: path.stat().st_size)


def truncate(folder: Path) -> None:
    path = largest(folder)
    path.write_bytes(path.read_bytes()[:-1])


def cut_to_a_stub(folder: Path) -> None:
    largest(folder).write_bytes(b"patina")


def empty(folder: Path) -> None:
    largest(folder).write_bytes(b"")


def lengthen(folder: Path) -> None:
    with largest(folder).open("ab") as file:
        file.write(bytes(8))


def remove(folder: Path) -> None:
    largest(folder).unlink()


def swap(folder: Path) -> None:
    one, other = sorted(folder.glob("*.vectors"))
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(kept)


def manifest_of_another_day(folder: Path) -> None:
    manifest = folder / "manifest.json"
    kept = manifest.read_bytes()
    upsert(open_index(folder), dict.fromkeys(KEYS, (0.0, 0.0, 0.0, 1.0)))
    manifest.write_bytes(kept)


def manifest_no_json(folder: Path) -> None:
    (folder / "manifest.json").write_text("{")


def manifest_other_json(folder: Path) -> None:
    (folder / "manifest.json").write_text("[]")


def manifest_too_deep(folder: Path) -> None:
    (folder / "manifest.json").write_text("[" * 200_000)


def manifest_edited(folder: Path) -> None:
    path = folder / "manifest.json"
    data = json.loads(path.read_bytes())
    data["segments"][-1]["dead"] = [0]
    path.write_text(json.dumps(data))


@pytest.mark.parametrize(
    "harm",
    [truncate, cut_to_a_stub, empty, lengthen, remove, swap, manifest_of_another_day, manifest_no_json,
     manifest_other_json, manifest_too_deep, manifest_edited],
)  # fmt: skip
def test_damage_is_seen_when_the_index_is_opened(folder: Path, harm: Callable[[Path], None]) -> None:
    use(folder)
    harm(folder)
    with pytest.raises(IndexDamaged) as caught:
        open_index(folder)
    assert caught.value.hint == "patina sync"


@pytest.mark.parametrize(
    "said",
    [{"rows": 0}, {"rows": "12"}, {"rows": 1.5}, {"dead": [12]}, {"dead": [-1]}, {"dead": [0.5]}, {"dead": 3},
     {"rows": 1 << 70}, {"file": "/dev/zero"}, {"file": "../index"}, {"file": 1}, {"file": "a\0"},
     {"file": "\ud800"}, {"more": 1}, {"sidecar": {"file": "x"}},
     {"generation": float("inf")}],
)  # fmt: skip
def test_a_manifest_that_fits_itself_but_no_index_is_damage(folder: Path, said: dict[str, object]) -> None:
    """As a stranger could write it."""
    path = folder / "manifest.json"
    content = json.loads(path.read_bytes())
    del content["crc"]
    (content if "generation" in said else content["segments"][-1]).update(said)
    crc = zlib.crc32(json.dumps(content).encode())
    path.write_text(json.dumps({**content, "crc": crc}))
    with pytest.raises(IndexDamaged):
        use(folder)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), data=st.data())
def test_no_flipped_bit_goes_unseen(folder: Path, where: float, bit: int, data: st.DataObject) -> None:
    names = sorted(path.name for path in folder.iterdir())
    path = folder / data.draw(st.sampled_from(names))
    good = path.read_bytes()
    place = int(where * len(good))
    path.write_bytes(good[:place] + bytes([good[place] ^ (1 << bit)]) + good[place + 1 :])
    try:
        with pytest.raises(IndexDamaged):
            use(folder)
    finally:
        path.write_bytes(good)


def test_a_copy_of_a_sound_index_is_sound(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    copy = tmp_path_factory.mktemp("copy") / "index"
    shutil.copytree(folder, copy)
    use(copy)


def test_an_untouched_file_is_trusted_and_verified_on_demand(folder: Path) -> None:
    path = largest(folder)
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    with path.open("r+b") as file:
        file.write(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    index = open_index(folder)
    with pytest.raises(IndexDamaged, match="altered since it was written"):
        index.verify()


@pytest.mark.parametrize(("dimensions", "fingerprint"), [(DIMENSIONS, "other"), (2, "f"), (8, "f")])
def test_vectors_of_another_make_are_not_read(folder: Path, dimensions: int, fingerprint: str) -> None:
    index = open_index(folder, dimensions, fingerprint)
    with pytest.raises(IndexDamaged, match="written by another model, or altered"):
        index.search(np.zeros(dimensions, np.float32), 1)


def test_a_write_that_fails_leaves_what_was(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = open_index(folder)
    before = found(index, (1.0, 0.0, 0.0, 0.0), 20)

    def full(*_: object) -> os.stat_result:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("patina_hooks.search.index.segments.write_file", full)
        with pytest.raises(OSError, match="No space"):
            upsert(index, {KEYS[0]: (0.0, 0.0, 0.0, 0.0)})
    assert found(index, (1.0, 0.0, 0.0, 0.0), 20) == before
    assert found(open_index(folder), (1.0, 0.0, 0.0, 0.0), 20) == before


def test_left_overs_of_a_killed_write_go_with_the_next(folder: Path) -> None:
    (folder / "dead.vectors").write_bytes(b"half a segment")
    (folder / ".manifest.json.tmp").write_bytes(b"half a manifest")
    (folder / "a folder").mkdir()
    upsert(open_index(folder), {KEYS[0]: (0.0, 0.0, 0.0, 0.0)})
    assert {path.suffix for path in folder.iterdir()} == {".vectors", ".json"}
    assert not (folder / "dead.vectors").exists()
    use(folder)


def test_an_index_that_was_never_written_is_empty(tmp_path: Path) -> None:
    index = open_index(tmp_path / "absent")
    assert (index.keys(), found(index, (1.0, 0.0, 0.0, 0.0), 3), index.stats().rows) == (frozenset(), [], 0)
    index.remove([KEYS[0]])
    assert not (tmp_path / "absent").exists()


# --- memory ---


def test_a_write_holds_a_small_part_of_what_it_merges(tmp_path: Path) -> None:
    count, dimensions = 40_000, 256
    vectors = np.full((count // 2, dimensions), 1 / 16, np.float32)
    index = open_index(tmp_path, dimensions)
    index.upsert([b"%016d" % number for number in range(count // 2)], vectors)
    keys = [b"%016d" % number for number in range(count // 2, count)]
    tracemalloc.start()
    try:
        index.upsert(keys, vectors)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert index.stats().files == 1
    assert peak < count * dimensions * 4 / 2
    assert index.keys() >= {keys[0], keys[-1]}
    index.verify()
