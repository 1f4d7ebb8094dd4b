"""The cache of embeddings: what is put comes back, by fingerprint and text."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from patina_hooks.errors import IndexDamaged, StateError
from patina_hooks.store.embeddings import CACHE_FILE, EmbeddingCache, read_cut_keys

if TYPE_CHECKING:
    from patina_hooks.specs.vectors import Vectors

KEYS = [bytes([number]) * 16 for number in range(300)[:255]]


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[EmbeddingCache]:
    with closing(EmbeddingCache(tmp_path, "f")) as cache:
        yield cache


def vectors(count: int, dimensions: int = 4) -> Vectors:
    return np.arange(count * dimensions, dtype=np.float32).reshape(count, dimensions)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(
    given_vectors=arrays.arrays(np.float16, (3, 4), elements=st.floats(-1, 1, width=16)).map(
        lambda array: array.astype(np.float32)
    )
)
def test_what_is_put_comes_back_in_the_order_asked_for(cache: EmbeddingCache, given_vectors: Vectors) -> None:
    cache.put(KEYS[:3], given_vectors, [0, 1, 0])
    back = cache.get([KEYS[2], KEYS[0], KEYS[2]], 4)
    assert back.dtype == np.float32
    assert (back == given_vectors[[2, 0, 2]]).all()


def test_missing_ones_are_told_in_their_order(cache: EmbeddingCache) -> None:
    cache.put(KEYS[1:2], vectors(1), [0])
    assert cache.missing(KEYS[2::-1], 4) == [KEYS[2], KEYS[0]]
    assert cache.missing([], 4) == []


def test_texts_that_were_cut_are_told(cache: EmbeddingCache, tmp_path: Path) -> None:
    cache.put(KEYS[:3], vectors(3), [0, 5, 1])
    assert sorted(read_cut_keys(tmp_path, "f")) == sorted(KEYS[1:3])


@pytest.mark.parametrize("dimensions", [3, 8])
def test_a_vector_that_is_not_there_or_of_another_length(cache: EmbeddingCache, dimensions: int) -> None:
    cache.put(KEYS[:1], vectors(1), [0])
    with pytest.raises(KeyError):
        cache.get(KEYS[1:2], 4)
    with pytest.raises(KeyError):
        cache.get(KEYS[:1], dimensions)


def test_fingerprints_do_not_mix(cache: EmbeddingCache, tmp_path: Path) -> None:
    cache.put(KEYS[:2], vectors(2), [0, 0])
    with closing(EmbeddingCache(tmp_path, "g")) as other:
        assert other.missing(KEYS[:2], 4) == KEYS[:2]
        other.put(KEYS[:1], vectors(1) + 1, [0])
        assert (cache.get(KEYS[:1], 4) == vectors(1)).all()


def test_all_of_a_put_or_none(cache: EmbeddingCache) -> None:
    with pytest.raises(ValueError, match="zip"):
        cache.put(KEYS[:2], vectors(2), [0])
    with pytest.raises(sqlite3.IntegrityError):
        cache.put([KEYS[0], None], vectors(2), [0, 0])  # type: ignore[list-item]
    assert cache.missing(KEYS[:2], 4) == KEYS[:2]


def test_keeping_only_what_is_said(cache: EmbeddingCache, tmp_path: Path) -> None:
    with closing(EmbeddingCache(tmp_path, "g")) as other:
        other.put(KEYS[:3], vectors(3), [0, 0, 0])
    cache.put(KEYS[:3], vectors(3), [0, 0, 0])
    assert cache.keep_only(KEYS[:2]) == 1 + 3
    assert cache.missing(KEYS[:3], 4) == [KEYS[2]]
    assert cache.keep_only(KEYS[:2]) == 0
    with closing(EmbeddingCache(tmp_path, "g")) as other:
        assert other.missing(KEYS[:3], 4) == KEYS[:3]


def test_a_file_that_is_no_database_is_begun_anew(tmp_path: Path) -> None:
    for suffix in ("", "-wal"):
        (tmp_path / f"{CACHE_FILE}{suffix}").write_bytes(b"something else entirely" * 500)
    with closing(EmbeddingCache(tmp_path, "f")) as cache:
        cache.put(KEYS[:1], vectors(1), [0])
        assert (cache.get(KEYS[:1], 4) == vectors(1)).all()


def test_damage_found_later_says_so_and_the_next_opening_begins_anew(tmp_path: Path) -> None:
    with closing(EmbeddingCache(tmp_path, "f")) as cache:
        cache.put(KEYS, vectors(len(KEYS), 64), [0] * len(KEYS))
        cache.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    path = tmp_path / CACHE_FILE
    data = bytearray(path.read_bytes())
    data[4096 * 3 :] = b"\xff" * (len(data) - 4096 * 3)
    path.write_bytes(data)
    with (
        closing(EmbeddingCache(tmp_path, "f")) as cache,
        pytest.raises(IndexDamaged, match=r"embeddings\.db is damaged"),
    ):
        cache.get(cache.missing(KEYS, 4) or KEYS, 64)
    with closing(EmbeddingCache(tmp_path, "f")) as cache:
        assert cache.missing(KEYS, 4) == KEYS


def test_a_lock_is_no_damage(tmp_path: Path) -> None:
    with closing(EmbeddingCache(tmp_path, "f")) as cache, closing(EmbeddingCache(tmp_path, "f")) as other:
        cache.connection.execute("PRAGMA busy_timeout = 0")
        other.connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(StateError, match=r"embeddings\.db cannot be used: database is locked"):
            cache.put(KEYS[:1], vectors(1), [0])
        other.connection.rollback()
        cache.put(KEYS[:1], vectors(1), [0])
        assert cache.missing(KEYS[:1], 4) == []
