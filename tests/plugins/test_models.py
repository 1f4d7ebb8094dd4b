"""The model plugins: what their specs say, and that it reaches the vectors of a tiny twin.

A twin is a model of the same architecture with weights drawn at random and a tokenizer of its own; it stands
in for the files alone. Everything else is the plugin's: prefixes, task, pooling, layer, lengths.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from textwrap import dedent
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.hub import Hub, served
from support.marked import ROOT
from support.twins import Architecture, Twin, make_twin

from patina_hooks.hookspecs import hookimpl
from patina_hooks.models.encoding import Encoder, open_encoder
from patina_hooks.models.pull import hub_files, pull
from patina_hooks.models.reading import prefix_of, read_as
from patina_hooks.models.tokenizer import open_tokenizer
from patina_hooks.models.weights import model_files
from patina_hooks.plugins import Plugins
from patina_hooks.recipe import Reading, parse_recipe
from patina_hooks.testing import CHECKS, run_contract
from patina_hooks.types import HubFile, LocalFile, ModelSpec

if TYPE_CHECKING:
    from patina_hooks.types import Vectors

MODULES = ("patina_e5", "patina_bge", "patina_nomic", "patina_qwen3", "patina_olmo")
SPECS: dict[str, ModelSpec] = {
    spec.name: spec for module in MODULES for spec in import_module(module).patina_register_models()
}
TWINS: dict[str, Architecture] = {
    "e5-base-v2": "bert",
    "bge-small-en-v1.5": "bert",
    "bge-base-en-v1.5": "bert",
    "nomic-embed-text-v1.5": "nomic_bert",
    "qwen3-embedding-0.6b": "qwen3",
    "qwen3-embedding-4b": "qwen3",
    "qwen3-embedding-8b": "qwen3",
    "olmo-3-7b": "olmo3",
}
ONE_EACH = ("e5-base-v2", "bge-base-en-v1.5", "nomic-embed-text-v1.5", "qwen3-embedding-0.6b", "olmo-3-7b")
TEXT = "why are vectors kept in a file of their own?"
MAX_TOKENS = 64
"""The positions of the smallest twin."""


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> dict[Architecture, Twin]:
    return {name: make_twin(name, tmp_path_factory.mktemp(name)) for name in set(TWINS.values())}


Small = Callable[[str], ModelSpec]


@pytest.fixture(scope="module")
def small(twins: dict[Architecture, Twin]) -> Small:
    """A plugin's spec with the twin's files and sizes, and nothing else of it changed."""

    def made(name: str) -> ModelSpec:
        spec, twin = SPECS[name], twins[TWINS[name]]
        files = {role: LocalFile(path.absolute()) for role, path in twin.files.items()}
        lengths = tuple(length for length in (24, 16, 8) if spec.matryoshka)
        layer = -1 if spec.layer == -1 else twin.layers - 1
        return replace(
            spec, dimensions=twin.dimensions, max_tokens=MAX_TOKENS, runtimes={"mlx": files},
            matryoshka=lengths, layer=layer,
        )  # fmt: skip

    return made


def provided(spec: ModelSpec) -> Plugins:
    plugins = Plugins.load(disabled=tuple(module.replace("_", "-") for module in MODULES))
    plugins.register(
        SimpleNamespace(patina_register_models=hookimpl(lambda: [spec]), __name__="json"), "twin"
    )
    return plugins


def opened(spec: ModelSpec, reading: Reading | None = None) -> Encoder:
    return open_encoder(provided(spec), spec.name, reading=reading)


def vector(encoder: Encoder, text: str, role: str = "passage") -> Vectors:
    assert role in ("query", "passage")
    vectors: Vectors = encoder.encode([text], role="query" if role == "query" else "passage").vectors[0]
    return vectors


# --- what the specs say -----------------------------------------------------------------------------


_BGE = "Represent this sentence for searching relevant passages: "
_QWEN = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:"


@pytest.mark.parametrize(
    ("name", "dimensions", "max_tokens", "pooling", "query", "passage", "licence"),
    [
        ("e5-base-v2", 768, 512, "mean", "query: ", "passage: ", "MIT"),
        ("bge-small-en-v1.5", 384, 512, "cls", _BGE, "", "MIT"),
        ("bge-base-en-v1.5", 768, 512, "cls", _BGE, "", "MIT"),
        ("nomic-embed-text-v1.5", 768, 2048, "mean", "search_query: ", "search_document: ", "Apache-2.0"),
        ("qwen3-embedding-0.6b", 1024, 8192, "last", _QWEN, "", "Apache-2.0"),
        ("qwen3-embedding-4b", 2560, 8192, "last", _QWEN, "", "Apache-2.0"),
        ("qwen3-embedding-8b", 4096, 8192, "last", _QWEN, "", "Apache-2.0"),
        ("olmo-3-7b", 4096, 8192, "mean", "", "", "Apache-2.0"),
    ],
)
def test_a_model_is_read_as_its_authors_say(
    name: str, dimensions: int, max_tokens: int, pooling: str, query: str, passage: str, licence: str
) -> None:
    spec = SPECS[name]
    assert (spec.dimensions, spec.max_tokens, spec.pooling) == (dimensions, max_tokens, pooling)
    assert (prefix_of(spec, "query"), prefix_of(spec, "passage")) == (query, passage)
    assert spec.licence == licence
    assert spec.parameters > 10_000_000
    assert spec.languages


def test_every_model_has_its_row_here() -> None:
    assert set(SPECS) == set(TWINS)


def test_vectors_may_be_cut_off_where_they_were_trained_for_it() -> None:
    nomic, qwen = SPECS["nomic-embed-text-v1.5"], SPECS["qwen3-embedding-8b"]
    assert (nomic.matryoshka, nomic.matryoshka_norm) == ((512, 256, 128, 64), "layer")
    assert (qwen.matryoshka, qwen.matryoshka_norm) == (range(32, 4096), "l2")
    assert all(not SPECS[name].matryoshka for name in SPECS if name.startswith(("e5", "bge", "olmo")))


@pytest.mark.parametrize("name", SPECS)
def test_files_have_the_roles_that_their_runtimes_want(name: str) -> None:
    spec = SPECS[name]
    for runtime, files in spec.runtimes.items():
        assert {"model", "tokenizer"} <= set(files)
        assert ("config" in files) == (runtime != "onnx")
        assert all(isinstance(file, HubFile) for file in files.values())
    assert spec.runtimes["torch"] == spec.runtimes["mlx"]
    assert ("onnx" in spec.runtimes) == (
        name not in ("olmo-3-7b", "qwen3-embedding-4b", "qwen3-embedding-8b")
    )


@pytest.mark.parametrize("page", ["docs/choosing-a-model.md", "plugins/patina-qwen3/README.md"])
def test_recipes_that_are_shown_fit_their_models(page: str) -> None:
    blocks = re.findall(r"^ *```yaml\n(.*?)^ *```", (ROOT / page).read_text("utf-8"), re.M | re.S)
    assert blocks
    for block in blocks:
        recipe = parse_recipe(dedent(block), page)
        read = read_as(SPECS[recipe.model], recipe.reading)
        assert recipe.runtime == "auto" or recipe.runtime in read.runtimes


def test_the_guide_has_each_model_with_its_figures() -> None:
    guide = (ROOT / "docs/choosing-a-model.md").read_text("utf-8")
    rows = {row.split("`")[1]: row for row in re.findall(r"^\| `.*", guide, re.M)}
    for name, spec in SPECS.items():
        assert f"{spec.dimensions:,}" in rows[name]
        assert f"| {spec.max_tokens:,} |" in rows[name]
        assert rows[name].endswith(f"| {spec.licence} |")
        assert (
            f"| {spec.parameters / 1e6:.0f} M |" in rows[name]
            or f"| {spec.parameters / 1e9:.1f} B |" in rows[name]
        )


# --- that it reaches the vectors --------------------------------------------------------------------


@pytest.mark.parametrize("name", ONE_EACH)
def test_the_contract_holds(name: str, small: Small) -> None:
    results = run_contract(provided(small(name)), name)
    assert {one.name: one.detail for one in results if not one.passed} == {}
    assert [one.name for one in results] == list(CHECKS)


@pytest.mark.parametrize("name", ONE_EACH)
def test_each_role_is_told_apart_by_its_prefix_alone(name: str, small: Small) -> None:
    spec = small(name)
    encoder, bare = opened(spec), opened(replace(spec, query_prefix="", passage_prefix=""))
    for role in ("query", "passage"):
        prefix = prefix_of(spec, "query" if role == "query" else "passage")
        found = vector(encoder, TEXT, role)
        np.testing.assert_allclose(found, vector(bare, prefix + TEXT, role), atol=1e-5)
        if prefix:
            assert found @ vector(bare, TEXT) < 0.99


@pytest.mark.parametrize("name", ONE_EACH)
def test_another_pooling_or_layer_is_another_vector(name: str, small: Small) -> None:
    spec = small(name)
    found = vector(opened(spec), TEXT)
    for pooling in {"mean", "cls", "last"} - {spec.pooling}:
        other = vector(opened(replace(spec, pooling=pooling)), TEXT)  # type: ignore[arg-type]
        assert found @ other < 0.99, f"{pooling} is no other vector"
    assert found @ vector(opened(spec, Reading(extraction_layer=1)), TEXT) < 0.99


def test_a_recipe_tells_qwen_its_task(small: Small) -> None:
    spec = small("qwen3-embedding-0.6b")
    told = opened(spec, Reading(instruction="Find the decision"))
    bare = opened(replace(spec, query_prefix=""))
    expected = vector(bare, f"Instruct: Find the decision\nQuery:{TEXT}", "query")
    np.testing.assert_allclose(vector(told, TEXT, "query"), expected, atol=1e-5)
    assert vector(told, TEXT, "query") @ vector(opened(spec), TEXT, "query") < 0.99
    np.testing.assert_allclose(vector(told, TEXT), vector(opened(spec), TEXT), atol=1e-6)


def test_qwen_is_pooled_at_the_token_that_its_tokenizer_ends_with(twins: dict[Architecture, Twin]) -> None:
    tokenizer = open_tokenizer(twins["qwen3"].tokenizer)
    ends = {tokens.ids[-1] for tokens in tokenizer.tokenize(["a", "a b", "commit " * 200], MAX_TOKENS)}
    assert len(ends) == 1


@pytest.mark.parametrize("name", ["nomic-embed-text-v1.5", "qwen3-embedding-0.6b"])
def test_a_cut_vector_is_made_as_the_authors_do(name: str, small: Small) -> None:
    spec = small(name)
    whole = vector(opened(spec), TEXT)
    cut = vector(opened(spec, Reading(truncate=16)), TEXT)
    expected = (whole - whole.mean() if "nomic" in name else whole)[:16]
    np.testing.assert_allclose(cut, expected / np.linalg.norm(expected), atol=1e-4)


# --- pulling ----------------------------------------------------------------------------------------


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    from huggingface_hub import close_session

    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    with served() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub
        close_session()


@pytest.mark.parametrize("runtime", ["onnx", "torch", "mlx"])
@pytest.mark.parametrize("name", SPECS)
def test_all_that_a_runtime_wants_is_pulled_into_one_place(name: str, runtime: str, hub: Hub) -> None:
    spec = SPECS[name]
    if runtime not in spec.runtimes:
        assert runtime == "onnx"
        return
    for file in hub_files(spec, runtime):
        hub.add(file.repository, file.path, f"{name} {file.path}".encode())
    pull(spec, runtime)
    files = model_files(spec, runtime)
    assert set(files) == set(spec.runtimes[runtime])
    beside = {path.parent for role, path in files.items() if role.startswith(("model", "data"))}
    assert len(beside) == 1, "parts of one model lie in one folder"


def test_a_pulled_twin_answers(twins: dict[Architecture, Twin], hub: Hub) -> None:
    """From the hub to vectors, by the plugin's own files."""
    twin = twins["bert"]
    for role, file in SPECS["e5-base-v2"].runtimes["mlx"].items():
        assert isinstance(file, HubFile)
        hub.add(file.repository, file.path, twin.files[role].read_bytes())
    spec = replace(SPECS["e5-base-v2"], dimensions=twin.dimensions, max_tokens=MAX_TOKENS)
    pull(spec, "mlx")
    found = open_encoder(provided(spec), spec.name, "mlx")
    assert vector(found, TEXT).shape == (twin.dimensions,)
