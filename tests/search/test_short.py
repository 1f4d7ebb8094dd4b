"""The index of short vectors: whole vectors score what short ones propose, and history leaves no trace."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.dictionary import (
    DIMENSIONS,
    SETTINGS,
    LikeADictionary,
    Row,
    found,
    is_scored_exactly,
    rebuild,
)
from support.memory import FAST_RECIPE, Memory

from patina_hooks import IndexBackendSpec, ModelSpec, PackageFile, hookimpl
from patina_hooks.config.recipe import Recipe
from patina_hooks.errors import IndexDamaged, ModelError
from patina_hooks.plugins.manager import Plugins
from patina_hooks.projection.active import Active, store_active, store_weights
from patina_hooks.projection.weights import describe_weights
from patina_hooks.search.index.exact import ExactIndex
from patina_hooks.search.index.short import ShortIndex
from patina_hooks.search.index.spaces import VectorSpace, active_space, projected_space, requested_space
from patina_hooks.search.opening import open_space_encoder
from patina_hooks.specs.training import Trained
from patina_hooks.store.log import Log
from patina_hooks.testing.random_vectors import draw_questions, draw_rows, to_arrays
from patina_hooks.upkeep.sync import synchronise

if TYPE_CHECKING:
    from patina_hooks.specs.vectors import Vectors
    from patina_hooks.testing.random_vectors import Rows

LONG, SHORT = 64, 16


def open_tiny(folder: Path) -> ShortIndex:
    return ShortIndex(folder, DIMENSIONS, "f", short=2, least=3)


class ShortIsLikeADictionary(LikeADictionary):
    def opener(self, folder: Path) -> ShortIndex:
        return open_tiny(folder)

    def agrees(self, query: Row, limit: int, allowed: frozenset[bytes] | None) -> None:
        answer = found(self.index, query, limit, allowed)
        assert is_scored_exactly(self.model, query, limit, allowed, answer)
        with tempfile.TemporaryDirectory() as folder:
            anew = open_tiny(Path(folder))
            rebuild(anew, self.model)
            assert found(anew, query, limit, allowed) == answer


TestLikeADictionary = ShortIsLikeADictionary.TestCase
TestLikeADictionary.settings = SETTINGS


# --- what is looked at ---


@pytest.fixture(scope="module")
def rows() -> Rows:
    return draw_rows(range(3_000), LONG)


@pytest.fixture
def index(rows: Rows, tmp_path: Path) -> ShortIndex:
    index = ShortIndex(tmp_path / "short", LONG, "f", short=SHORT, least=200)
    index.upsert(*to_arrays(rows))
    return index


@pytest.fixture
def exact(rows: Rows, tmp_path: Path) -> ExactIndex:
    index = ExactIndex(tmp_path / "exact", LONG, "f")
    index.upsert(*to_arrays(rows))
    return index


def test_most_of_the_best_are_found_with_the_scores_of_the_exact_scan(
    rows: Rows, index: ShortIndex, exact: ExactIndex
) -> None:
    hits = 0
    for question in draw_questions(rows):
        true, answer = dict(exact.search(question, 300)), index.search(question, 10)
        assert all(true.get(key, score) == score for key, score in answer)
        hits += len({key for key, _ in answer} & set(list(true)[:10]))
    assert hits >= 0.95 * 10 * len(draw_questions(rows))


def test_what_short_vectors_do_not_show_is_not_found(tmp_path: Path) -> None:
    """That is what makes it fast: a row that is only near in its last dimensions is not looked at."""
    vectors = np.zeros((200, 4), np.float32)
    vectors[:, 0] = 1
    vectors[7] = (0, 0, 0, 1)
    keys = [bytes([number]) * 16 for number in range(200)]
    index = ShortIndex(tmp_path, 4, "f", short=2, least=3)
    index.upsert(keys, vectors)
    question: Vectors = np.array([0.6, 0, 0, 0.8], np.float32)
    assert keys[7] not in dict(index.search(question, 1))
    assert index.search(question, 1, frozenset(keys[6:9]))[0][0] == keys[7]


def test_a_companion_holds_unit_short_vectors_of_every_row(rows: Rows, index: ShortIndex) -> None:
    (path,) = (index._folder).glob("*.short")
    short = np.fromfile(path, "<f4").reshape(len(rows), SHORT)
    cut = np.stack([rows[key] for key in sorted(rows)])[:, :SHORT]
    assert short == pytest.approx(cut / np.linalg.norm(cut, axis=1, keepdims=True), abs=1e-6)


def test_vectors_that_are_zero_are_found_with_the_score_zero(tmp_path: Path) -> None:
    index = ShortIndex(tmp_path, 4, "f", short=2, least=3)
    keys = [bytes([number]) * 16 for number in range(9)]
    index.upsert(keys, np.zeros((9, 4), np.float32))
    assert index.search(np.full(4, 0.5, np.float32), 2) == [(keys[0], 0.0), (keys[1], 0.0)]


def test_a_companion_that_was_altered_is_damage(index: ShortIndex) -> None:
    (path,) = index._folder.glob("*.short")
    data = bytearray(path.read_bytes())
    data[5] ^= 1
    path.write_bytes(data)
    with pytest.raises(IndexDamaged, match=r"\.short: altered since it was written"):
        ShortIndex(index._folder, LONG, "f", short=SHORT)


def test_short_vectors_of_another_length_are_not_read(index: ShortIndex) -> None:
    with pytest.raises(IndexDamaged, match="written by another model"):
        ShortIndex(index._folder, LONG, "f", short=8).stats()


def test_a_killed_write_of_a_companion_leaves_no_trace(index: ShortIndex, rows: Rows) -> None:
    question = draw_questions(rows)[0]
    before = index.search(question, 10)
    (index._folder / ".0.short.x").write_bytes(b"half of it")
    (index._folder / "0.short").write_bytes(b"half of it")
    assert ShortIndex(index._folder, LONG, "f", short=SHORT, least=200).search(question, 10) == before
    index.upsert([b"k" * 16], question[np.newaxis])
    assert not {".0.short.x", "0.short"} & {path.name for path in index._folder.iterdir()}


# --- in a memory ---


class Doll:
    """acme-64 said to be a Matryoshka model, and an index of its first dimensions."""

    @hookimpl
    def patina_register_models(self) -> list[ModelSpec]:
        model = PackageFile("patina-acme", "patina_acme/model.onnx")
        tokenizer = PackageFile("patina-acme", "patina_acme/tokenizer.json")
        files = {"onnx": {"model": model, "tokenizer": tokenizer}}
        return [ModelSpec("doll-64", 64, runtimes=files, max_tokens=128, matryoshka=(48, 32, 8))]

    @hookimpl
    def patina_register_index_backends(self) -> list[IndexBackendSpec]:
        opener = "patina_hooks.search.index.short:ShortIndex"
        return [IndexBackendSpec("short-16", opener, approximate=True, short=16)]


@pytest.fixture
def doll() -> Plugins:
    providers = Plugins.load()
    providers.register(Doll(), "doll")
    return providers


def test_the_smallest_length_that_is_long_enough_is_taken(doll: Plugins) -> None:
    assert requested_space(doll, Recipe(model="doll-64", index="short-16")).short == 32
    assert requested_space(doll, Recipe(model="doll-64")).short == 0


@pytest.mark.parametrize(("model", "index"), [("acme-64", "short-16"), ("doll-64", "short")])
def test_a_model_whose_vectors_may_not_be_cut_so_is_refused_with_the_fix(
    doll: Plugins, model: str, index: str
) -> None:
    with pytest.raises(ModelError, match=rf"index is '{index}', .* {model} has 64 .*; write: index: exact"):
        requested_space(doll, Recipe(model=model, index=index))


def test_a_switch_to_it_encodes_nothing_and_equals_a_rebuild(tmp_path: Path, doll: Plugins) -> None:
    memory = Memory.make(tmp_path / "repository")
    memory.archive("20251101-090000", decisions=tuple(f"decision {number}" for number in range(30)))

    def sync(recipe: str) -> int:
        memory.write(".patina/oxidize.yaml", FAST_RECIPE.replace("acme", "doll") + recipe)
        return synchronise(
            memory.repository, plugins=doll, open_model=partial(open_space_encoder, doll)
        ).encoded

    def stored() -> tuple[VectorSpace | None, frozenset[bytes]]:
        with closing(Log(memory.state, create=False)) as log:
            space = active_space(log)
        return space, space.open(doll, memory.state).keys() if space else frozenset()

    assert sync("") > 30
    _, keys = stored()
    assert sync("index: short-16\n") == 0
    space, moved = stored()
    assert space is not None
    assert (space.index, space.short, moved) == ("short-16", 32, keys)
    assert {path.suffix for path in space.folder(memory.state).iterdir()} == {".json", ".vectors", ".short"}
    assert list((memory.state / "vectors").iterdir()) == [space.folder(memory.state)]
    shutil.rmtree(memory.state / "vectors")
    assert sync("index: short-16\n") == 0
    assert stored() == (space, keys)


def test_a_projection_makes_room_for_the_exact_index(tmp_path: Path, doll: Plugins) -> None:
    recipe = Recipe(model="doll-64", index="short-16")
    space = requested_space(doll, recipe)
    weights = {"mean": np.zeros(64, np.float32), "components": np.eye(2, 64, dtype=np.float32)}
    name = store_weights(tmp_path, Trained(weights, describe_weights("whitening", weights)), "whitening")
    used = Active("whitening", "whitening", name, 2, space.fingerprint, 0.1, 0.05, 0.15, 90, 7, forced=False)
    store_active(tmp_path, used)
    seen, project = projected_space(space, doll, recipe, tmp_path)
    assert project is not None
    assert (seen.index, seen.short, seen.projected) == ("exact", 0, 2)
    assert isinstance(seen.open(doll, tmp_path), ExactIndex)
