"""A model exported by name: proof against its source, card, command."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from patina_export.command import export_command
from patina_export.export import Export, export_model, source_runtime
from patina_export.graph import Precision
from patina_export.prove import TOP, compare_encoders, overlap
from patina_export.texts import TEXTS
from patina_export.write import Exported, export_onnx
from patina_onnx.runtime import open_model
from support.exporting import LEAST, encoder, expected, likeness, opened
from support.exporting import export as write
from support.tiny_models import ARCHITECTURES, Architecture, Twin, make_twin

from patina_hooks import hookimpl
from patina_hooks.errors import ModelError, PatinaError
from patina_hooks.models.catalog.entry import add_model
from patina_hooks.models.catalog.user import parse_models, user_models
from patina_hooks.models.files.weights import model_files
from patina_hooks.models.similarity import nearest_passages
from patina_hooks.plugins.manager import Plugins
from patina_hooks.specs.models import LocalFile, ModelSpec

EVERY = pytest.mark.parametrize("architecture", ARCHITECTURES)
EXPORT = "patina_export.export.export_onnx"


def spec_of(twin: Twin, runtime: str = "mlx") -> ModelSpec:
    """The twin as a model of the user's, with files for one runtime."""
    files = {role: LocalFile(path) for role, path in twin.files.items()}
    return replace(twin.spec(runtime), runtimes={runtime: files}, query_prefix="query: ", licence="MIT")


def plugins_with(spec: ModelSpec) -> Plugins:
    """The installed plugins, and one with that model."""
    plugins = Plugins.load()
    plugins.register(SimpleNamespace(patina_register_models=hookimpl(lambda: [spec])), "user")
    return plugins


def exported(spec: ModelSpec, folder: Path, precision: Precision = "fp32") -> Export:
    return export_model(plugins_with(spec), spec.name, folder, precision, lambda _: None)


# --- figures --------------------------------------------------------------------------------------


def test_overlap_is_the_share_of_common_neighbours() -> None:
    angles = np.linspace(0, np.pi / 2, 40)
    around = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    first, sixth = (nearest_passages(around[at : at + 1], around, TOP) for at in (0, 10))
    assert overlap(first, first) == 1
    assert overlap(first, sixth) == len(first[0] & sixth[0]) / TOP
    assert 0 < overlap(first, sixth) < 1


def test_agreement_names_the_kind_of_text_that_differs(tmp_path: Path) -> None:
    twin = make_twin("qwen3", tmp_path)
    path = write(twin, tmp_path)
    source, cut = (opened(twin, path, max_tokens=most) for most in (400, 200))
    same, found = compare_encoders(source, source), compare_encoders(cut, source)
    assert (same.least > 0.999999, same.overlap) == (True, 1)
    assert found.least == found.by_kind["long"] < 0.99
    assert all(least > 0.999999 for kind, least in found.by_kind.items() if kind != "long")
    assert found.overlap < 1


# --- the folder -----------------------------------------------------------------------------------


def test_the_card_holds_the_entry_of_models_toml(tmp_path: Path) -> None:
    spec = spec_of(make_twin("qwen3", tmp_path / "twin"))
    spec = replace(spec, matryoshka=range(8, 32), matryoshka_norm="layer", task='Find "it"', layer=2)
    export = exported(spec, tmp_path / "out")
    entry = export.card.read_text().partition("```toml\n")[2].partition("```")[0]
    assert list(parse_models(entry, "card")) == [replace(export.spec, name="twin-qwen3-fp32")]


@EVERY
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_file_is_proven_against_its_source(
    tmp_path: Path, architecture: Architecture, precision: Precision
) -> None:
    export = exported(spec_of(make_twin(architecture, tmp_path / "twin")), tmp_path / "out", precision)
    agreement = export.proof.agreement
    assert agreement
    assert agreement.against == "mlx"
    assert agreement.least > LEAST[precision]
    assert agreement.overlap > (0.99 if precision == "fp32" else 0.9)
    assert export.proof.invariance > 0.999999
    assert {path.name for path in export.folder.iterdir()} == {"model.onnx", "tokenizer.json", "README.md"}
    card = export.card.read_text()
    assert f"# twin-{architecture}, {precision}" in card
    assert f"| least | {agreement.least:.6f} |" in card
    assert f"{agreement.overlap:.1%} are the same" in card
    assert "| prefix of a question | `query: ` |" in card
    assert "| licence of the weights | MIT |" in card


def test_a_source_that_nothing_can_run_leaves_the_file_unproven_with_the_reason(tmp_path: Path) -> None:
    export = exported(spec_of(make_twin("bert", tmp_path / "twin"), "elsewhere"), tmp_path / "out")
    assert export.proof.agreement is None
    assert "no installed plugin provides it" in export.proof.unproven
    assert f"**Not proven against its source**: {export.proof.unproven}" in export.card.read_text()
    assert export.proof.invariance > 0.999999


def test_without_a_runtime_for_the_source_its_published_onnx_file_speaks_for_it(tmp_path: Path) -> None:
    twin = make_twin("bert", tmp_path / "twin")
    spec = spec_of(twin, "elsewhere")
    published = {"model": LocalFile(write(twin, tmp_path, "int8")), "tokenizer": LocalFile(twin.tokenizer)}
    spec = replace(spec, runtimes={**spec.runtimes, "onnx": published})
    agreement = exported(spec, tmp_path / "out").proof.agreement
    assert agreement
    assert agreement.against == "onnx"
    assert 0.95 < agreement.least < 0.9999
    card = (tmp_path / "out" / "README.md").read_text()
    assert "compared with those of the ONNX file that it came with" in card


def test_the_exported_model_runs_from_its_folder_alone(tmp_path: Path) -> None:
    export = exported(spec_of(make_twin("qwen3", tmp_path / "twin")), tmp_path / "out")
    shutil.rmtree(tmp_path / "twin")
    model = encoder(export.spec, open_model(export.spec, model_files(export.spec, "onnx")))
    assert likeness(model, expected("qwen3", "last")) > LEAST["fp32"]


def test_a_file_that_is_not_its_source_is_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(config: Path, weights: list[Path], path: Path, precision: Precision, layer: int) -> Exported:
        other = json.loads(config.read_text()) | {"rope_theta": 100}
        (tmp_path / "wrong.json").write_text(json.dumps(other))
        return export_onnx(tmp_path / "wrong.json", weights, path, precision, layer)

    monkeypatch.setattr(EXPORT, wrong)
    spec = spec_of(make_twin("qwen3", tmp_path / "twin"))
    with pytest.raises(ModelError, match="the exported file is not twin-qwen3: a text of the kind"):
        exported(spec, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError("disk full")])
def test_an_export_that_ends_early_leaves_the_users_folder_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def ended(_config: Path, _weights: list[Path], path: Path, *_: object) -> Exported:
        path.write_bytes(b"half")
        raise error

    monkeypatch.setattr(EXPORT, ended)
    (tmp_path / "out").mkdir()
    with pytest.raises(type(error)):
        exported(spec_of(make_twin("bert", tmp_path / "twin")), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_that_holds_something_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("kept")
    with pytest.raises(ModelError, match="is there and not empty"):
        exported(spec_of(make_twin("bert", tmp_path / "twin")), tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "kept"


def test_a_model_without_safetensors_cannot_be_exported(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="it has files for: onnx"):
        export_model(Plugins.load(), "acme-64", tmp_path / "out", "fp32", print)
    assert not (tmp_path / "out").exists()


def test_texts_longer_than_the_models_positions_are_refused(tmp_path: Path) -> None:
    spec = replace(spec_of(make_twin("bert", tmp_path / "twin")), max_tokens=65)
    with pytest.raises(ModelError, match="is to take 65 tokens, but has 64 positions"):
        exported(spec, tmp_path / "out")


# --- the command ----------------------------------------------------------------------------------


def test_the_command_says_what_was_proven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugins = plugins_with(spec_of(make_twin("olmo3", tmp_path / "twin")))
    monkeypatch.setattr(Plugins, "load", lambda: plugins)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(export_command, ["twin-olmo3", "--precision", "int8", "--as", "mine"])
    assert result.exit_code == 0
    assert (tmp_path / "twin-olmo3-onnx-int8" / "model.onnx").is_file()
    assert f"against the runtime mlx, {sum(map(len, TEXTS.values()))} texts: cosine 0.99" in result.stdout
    assert "mine is listed in" in result.stderr
    assert [model.name for model in user_models()] == ["mine"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("mine", "has a model mine already"),
        ("a/b", "'a/b' cannot be the name of a model"),
        ("my model", "'my model' cannot be the name of a model"),
        ("minilm-l6-v2", "the plugin patina-minilm has a model minilm-l6-v2 already"),
    ],
)
def test_a_name_that_cannot_be_listed_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, why: str
) -> None:
    spec = spec_of(make_twin("bert", tmp_path / "twin"))
    files = {role: replace(file, sha256="0" * 64) for role, file in spec.runtimes["mlx"].items()}
    add_model(replace(spec, name="mine", runtimes={"mlx": files}))
    plugins = plugins_with(spec)
    monkeypatch.setattr(Plugins, "load", lambda: plugins)
    arguments = ["twin-bert", "--output", str(tmp_path / "out"), "--as", name]
    result = CliRunner().invoke(export_command, arguments)
    assert isinstance(result.exception, PatinaError)
    assert why in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_the_command_for_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugins = plugins_with(spec_of(make_twin("bert", tmp_path / "twin")))
    monkeypatch.setattr(Plugins, "load", lambda: plugins)
    result = CliRunner().invoke(export_command, ["twin-bert", "--output", str(tmp_path / "out"), "--json"])
    said = json.loads(result.stdout)
    assert said["files"]["model"] == str(tmp_path / "out" / "model.onnx")
    assert said["proof"]["agreement"]["least"] > LEAST["fp32"]
    assert (said["precision"], said["layer"], said["layers"]) == ("fp32", 3, 3)


def test_the_usual_files_are_the_source_and_not_packed_ones(tmp_path: Path) -> None:
    files = make_twin("bert", tmp_path).spec("mlx").runtimes["mlx"]
    spec = ModelSpec("mine", 32, runtimes={"mlx/4bit": files, "torch": files, "onnx": {}})
    assert source_runtime(spec) == "torch"
