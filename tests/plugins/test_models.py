"""The model plugins: what their specs say, and that their files can be pulled."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest
from support.hub import Hub, served, set_hub_cache
from support.marked import ROOT
from support.stand_ins import SPECS, provided
from support.tiny_models import make_twin

from patina_hooks.config.recipe import parse_recipe
from patina_hooks.models.encoding import open_encoder
from patina_hooks.models.files.pull import hub_files, pull
from patina_hooks.models.files.weights import model_files
from patina_hooks.models.reading import apply_reading, prefix_of
from patina_hooks.specs.models import HubFile, ModelSpec

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
        assert ("config" in files) == (runtime.partition("/")[0] != "onnx")
        assert all(isinstance(file, HubFile) for file in files.values())
    assert spec.runtimes["torch"] == spec.runtimes["mlx"]
    assert ("onnx" in spec.runtimes) == (
        name not in ("olmo-3-7b", "qwen3-embedding-4b", "qwen3-embedding-8b")
    )


@pytest.mark.parametrize("name", SPECS)
def test_a_file_is_asked_for_at_a_commit_that_cannot_be_moved(name: str) -> None:
    for runtime, files in SPECS[name].runtimes.items():
        for file in files.values():
            assert isinstance(file, HubFile)
            pinned = re.fullmatch("[0-9a-f]{40}", file.revision) is not None
            assert pinned or file.repository.startswith("mlx-community/"), runtime
            assert not file.sha256 or re.fullmatch("[0-9a-f]{64}", file.sha256)


def test_what_depends_on_its_batch_is_read_one_by_one_and_the_rest_is_not() -> None:
    told = {name: (sorted(spec.runtimes), spec.unbatched_runtimes) for name, spec in SPECS.items()}
    usual, packed = ["mlx", "onnx", "torch"], ["mlx", "mlx/4bit", "torch"]
    assert told == {
        "e5-base-v2": (["mlx", "onnx", "onnx/int8", "torch"], ("onnx/int8",)),
        "bge-small-en-v1.5": (usual, ()),
        "bge-base-en-v1.5": (usual, ()),
        "nomic-embed-text-v1.5": (
            ["mlx", "onnx", "onnx/fp16", "onnx/int8", "torch"],
            ("onnx/fp16", "onnx/int8"),
        ),
        "qwen3-embedding-0.6b": (["mlx", "mlx/4bit", "onnx", "onnx/fp16", "torch"], ("onnx/fp16",)),
        "qwen3-embedding-4b": (packed, ()),
        "qwen3-embedding-8b": (packed, ()),
        "olmo-3-7b": (["mlx", "torch"], ()),
    }


@pytest.mark.parametrize("page", ["docs/choosing-a-model.md", "plugins/patina-qwen3/README.md"])
def test_recipes_that_are_shown_fit_their_models(page: str) -> None:
    blocks = re.findall(r"^ *```yaml\n(.*?)^ *```", (ROOT / page).read_text("utf-8"), re.M | re.S)
    assert blocks
    for block in blocks:
        recipe = parse_recipe(dedent(block), page)
        read = apply_reading(SPECS[recipe.model], recipe.reading)
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


# --- pulling ----------------------------------------------------------------------------------------


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    from huggingface_hub import close_session

    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    set_hub_cache(tmp_path / "hf", monkeypatch)
    with served() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub
        close_session()


def any_content(spec: ModelSpec) -> ModelSpec:
    """The model without the hashes of its files, whose place others take here."""
    return replace(
        spec,
        runtimes={
            runtime: {
                role: replace(file, sha256="") if isinstance(file, HubFile) else file
                for role, file in files.items()
            }
            for runtime, files in spec.runtimes.items()
        },
    )


@pytest.mark.parametrize(
    ("name", "runtime"), [(name, runtime) for name, spec in SPECS.items() for runtime in spec.runtimes]
)
def test_all_that_a_runtime_wants_is_pulled_into_one_place(name: str, runtime: str, hub: Hub) -> None:
    spec = any_content(SPECS[name])
    for file in hub_files(spec, runtime):
        hub.add(file.repository, file.path, f"{name} {file.path}".encode())
        hub.commits.setdefault(file.revision, file.revision)
    pull(spec, runtime)
    files = model_files(spec, runtime)
    assert set(files) == set(spec.runtimes[runtime])
    beside = {path.parent for role, path in files.items() if role.startswith(("model", "data"))}
    assert len(beside) == 1, "parts of one model lie in one folder"


def test_a_pulled_twin_answers(tmp_path: Path, hub: Hub) -> None:
    """From the hub to vectors, by the plugin's own files."""
    twin = make_twin("bert", tmp_path / "twin")
    e5 = any_content(SPECS["e5-base-v2"])
    for role, file in e5.runtimes["mlx"].items():
        assert isinstance(file, HubFile)
        hub.add(file.repository, file.path, twin.files[role].read_bytes())
        hub.commits[file.revision] = file.revision
    spec = replace(e5, dimensions=twin.dimensions, max_tokens=48)
    pull(spec, "mlx")
    encoder = open_encoder(provided(spec), spec.name, "mlx")
    assert encoder.encode(["to be found"], role="query").vectors.shape == (1, twin.dimensions)
