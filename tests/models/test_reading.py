"""What a recipe says of a model, and that it reaches the vectors."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.memory import Memory, plugins

from patina_hooks.api import Patina
from patina_hooks.config.recipe import Reading, Recipe
from patina_hooks.errors import ModelError
from patina_hooks.models.choice import RuntimeChoice
from patina_hooks.models.encoding import Encoder, open_encoder, truncate_rows
from patina_hooks.models.reading import apply_reading, lengths_in_words, prefix_of
from patina_hooks.plugins.hookspecs import hookimpl
from patina_hooks.plugins.manager import Plugins
from patina_hooks.search.index.spaces import VectorSpace, active_space, requested_space
from patina_hooks.specs.models import LocalFile, MatryoshkaNorm, ModelFile, ModelSpec, Tokens
from patina_hooks.store.log import Log
from patina_hooks.upkeep.sync import synchronise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from patina_hooks.specs.vectors import Vectors

FILE = LocalFile(Path("/nowhere/model"))
EVERYWHERE: dict[str, dict[str, ModelFile]] = {name: {"model": FILE} for name in ("onnx", "torch", "mlx")}
NOMIC = ModelSpec(
    "nomic", dimensions=768, runtimes=EVERYWHERE, matryoshka=(512, 256, 64), matryoshka_norm="layer"
)
QWEN = ModelSpec(
    "qwen", dimensions=1024, runtimes=EVERYWHERE, pooling="last", matryoshka=range(32, 1024),
    query_prefix="Instruct: {task}\nQuery:", task="answer the query",
)  # fmt: skip


def test_a_recipe_that_says_nothing_changes_nothing() -> None:
    assert apply_reading(QWEN, Reading()) == QWEN
    assert prefix_of(QWEN, "query") == "Instruct: answer the query\nQuery:"
    assert prefix_of(QWEN, "passage") == ""


def test_an_instruction_takes_the_place_of_the_task() -> None:
    told = apply_reading(QWEN, Reading(instruction="find {task} of {decisions}"))
    assert prefix_of(told, "query") == "Instruct: find {task} of {decisions}\nQuery:"


def test_a_model_that_takes_no_instruction_says_so() -> None:
    with pytest.raises(ModelError, match=r"instruction is 'find it', expected none: .*remove the line"):
        apply_reading(NOMIC, Reading(instruction="find it"))


def test_pooling_and_layer_are_those_of_the_recipe() -> None:
    read = apply_reading(QWEN, Reading(pooling="mean", extraction_layer=-2))
    assert (read.pooling, read.layer) == ("mean", -2)


def test_another_layer_is_none_that_an_onnx_file_has() -> None:
    assert set(apply_reading(QWEN, Reading(extraction_layer=12)).runtimes) == {"torch", "mlx"}
    assert apply_reading(QWEN, Reading(extraction_layer=-1)) == QWEN
    alone = replace(QWEN, runtimes={"onnx": {"model": FILE}})
    with pytest.raises(
        ModelError, match=r"extraction_layer is 0, expected -1: .*write: extraction_layer: -1"
    ):
        apply_reading(alone, Reading(extraction_layer=0))


@pytest.mark.parametrize(
    ("spec", "length"), [(NOMIC, 512), (NOMIC, 64), (QWEN, 32), (QWEN, 33), (QWEN, 1023)]
)
def test_vectors_are_cut_where_the_model_allows(spec: ModelSpec, length: int) -> None:
    read = apply_reading(spec, Reading(truncate=length))
    assert (read.width, read.dimensions) == (length, spec.dimensions)


def test_all_dimensions_are_no_cut() -> None:
    assert apply_reading(NOMIC, Reading(truncate=768)) == NOMIC


@pytest.mark.parametrize(
    ("spec", "length", "words", "fix"),
    [
        (NOMIC, 300, "768, 512, 256 or 64", 256),
        (NOMIC, 4096, "768, 512, 256 or 64", 768),
        (QWEN, 31, "32 to 1024", 32),
        (QWEN, 1025, "32 to 1024", 1024),
        (replace(NOMIC, matryoshka=()), 256, "768", 768),
    ],
)
def test_another_length_is_refused_with_what_fits(spec: ModelSpec, length: int, words: str, fix: int) -> None:
    with pytest.raises(ModelError, match=rf"truncate is {length}, expected {words}.*write: truncate: {fix}$"):
        apply_reading(spec, Reading(truncate=length))
    assert lengths_in_words(spec) == words


# --- reaching the vectors ---------------------------------------------------------------------------


class Rows:
    """A `TokenModel` whose token vectors are rows of a fixed table, by character."""

    def __init__(self, width: int) -> None:
        self.table = np.random.default_rng(0).standard_normal((256, width)).astype(np.float32)

    def tokenize(self, texts: Sequence[str], max_tokens: int) -> list[Tokens]:
        return [Tokens(list(text.encode()[:max_tokens])) for text in texts]

    def forward(self, ids: NDArray[np.int64], mask: object) -> Vectors:
        rows: Vectors = self.table[ids]
        return rows


def encode(spec: ModelSpec, text: str) -> Vectors:
    encoder = Encoder(spec, RuntimeChoice("rows", ""), "", Rows(spec.dimensions))
    vectors: Vectors = encoder.encode([text], role="query").vectors[0]
    return vectors


def test_a_cut_vector_is_the_beginning_of_the_whole_one() -> None:
    whole, cut = encode(QWEN, "why"), encode(apply_reading(QWEN, Reading(truncate=100)), "why")
    assert cut.shape == (100,)
    np.testing.assert_allclose(cut, whole[:100] / np.linalg.norm(whole[:100]), atol=1e-6)


def test_where_the_model_asks_for_it_a_layer_norm_comes_before_the_cut() -> None:
    whole, cut = encode(NOMIC, "why"), encode(apply_reading(NOMIC, Reading(truncate=64)), "why")
    centred = (whole - whole.mean())[:64]
    np.testing.assert_allclose(cut, centred / np.linalg.norm(centred), atol=1e-5)
    assert np.abs(cut - whole[:64] / np.linalg.norm(whole[:64])).max() > 1e-3


def test_the_instruction_reaches_the_vector() -> None:
    mean = replace(QWEN, pooling="mean")
    told = apply_reading(mean, Reading(instruction="find decisions"))
    plain = replace(mean, query_prefix="Instruct: find decisions\nQuery:")
    assert np.array_equal(encode(told, "why"), encode(plain, "why"))
    assert not np.array_equal(encode(told, "why"), encode(mean, "why"))


@given(st.integers(1, 31), st.integers(0, 1_000), st.sampled_from(get_args(MatryoshkaNorm)))
def test_a_cut_keeps_rows_apart(length: int, seed: int, norm: MatryoshkaNorm) -> None:
    spec = ModelSpec(
        "x", dimensions=32, runtimes={}, matryoshka=range(1, 32), truncate=length, matryoshka_norm=norm
    )
    rows = np.random.default_rng(seed).standard_normal((3, 32)).astype(np.float32)
    together = truncate_rows(rows, spec)
    assert together.shape == (3, length)
    assert together.dtype == np.float32
    assert all(np.array_equal(truncate_rows(rows[at : at + 1], spec)[0], together[at]) for at in range(3))


# --- in a repository --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def providers() -> Plugins:
    """The small model of the examples, as one whose vectors may be cut off and that is told its task."""
    found = Plugins.load(disabled=())
    spec = replace(plugins().model("acme-64"), name="short-64", matryoshka=(32, 16), query_prefix="{task}: ")
    found.register(SimpleNamespace(patina_register_models=hookimpl(lambda: [spec])), "short")
    return found


def space_of(memory: Memory) -> VectorSpace:
    with closing(Log(memory.state, create=False)) as log:
        space = active_space(log)
    assert space is not None
    return space


def test_a_recipe_is_read_by_sync_and_question_alike(tmp_path: Path, providers: Plugins) -> None:
    memory = Memory.make(tmp_path / "repository")
    memory.commit("teach marmots to parse", {"src/parse.py": "1"})
    memory.commit("feed the cat", {"src/cat.py": "1"})
    recipe = "version: 2\nembedding_model: short-64\n"
    memory.write(".patina/oxidize.yaml", recipe)
    synchronise(memory.repository, plugins=providers)
    whole = space_of(memory)
    memory.write(".patina/oxidize.yaml", f"{recipe}truncate: 16\ninstruction: find commits\n")
    report = synchronise(memory.repository, plugins=providers)
    assert (report.faults, report.pending) == ((), 0)
    cut = space_of(memory)
    assert (whole.dimensions, cut.dimensions) == (64, 16)
    assert cut.fingerprint != whole.fingerprint
    with Patina(memory.repository, providers) as patina:
        (hit, *_) = patina.search("teach marmots", mode="vector")
    assert hit.text == "teach marmots to parse"
    index = cut.open(providers, memory.state)
    encoder = open_encoder(providers, "short-64", reading=cut.reading)
    expected = encoder.encode(["teach marmots to parse"], role="passage").vectors[0]
    assert index.search(expected, 1)[0][1] == pytest.approx(1, abs=1e-3)
    told = open_encoder(providers, "short-64").encode(["find commits: x"], role="passage").vectors[0]
    asked = encoder.encode(["x"], role="query").vectors[0]
    assert np.allclose(asked, told[:16] / np.linalg.norm(told[:16]), atol=1e-6)


def test_what_does_not_fit_the_model_is_a_fault_that_says_the_fix(tmp_path: Path, providers: Plugins) -> None:
    memory = Memory.make(tmp_path / "repository")
    memory.commit("begin", {"README.md": "x"})
    memory.write(".patina/oxidize.yaml", "version: 2\nembedding_model: short-64\ntruncate: 20\n")
    report = synchronise(memory.repository, plugins=providers)
    (fault,) = report.faults
    assert "truncate is 20, expected 64, 32 or 16" in fault.error
    assert fault.error.endswith("write: truncate: 16")
    with pytest.raises(ModelError, match="truncate is 20"):
        requested_space(providers, Recipe(model="short-64", reading=Reading(truncate=20)))
