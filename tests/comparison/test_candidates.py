"""What is compared: models in runtimes, read as the recipe says where it names them."""

from __future__ import annotations

from pathlib import Path

import pytest
from evaluation.past import Past, space_of
from support.memory import Memory

from patina_hooks.config.recipe import Reading
from patina_hooks.errors import PluginError, UsageError
from patina_hooks.evaluation.comparison.candidates import candidates


def test_the_recipes_model_is_read_as_the_recipe_says(tmp_path: Path) -> None:
    memory = Memory.make(tmp_path / "repository")
    memory.write(".patina/oxidize.yaml", "version: 2\nembedding_model: acme-64\npooling: cls\n")
    memory.commit("begin with marmots")
    memory.sync()
    acme, minilm = candidates(memory.patina(), ["acme-64", "minilm-l6-v2"])
    assert acme.space == space_of(memory)
    assert acme.space is not None
    assert acme.space.reading == Reading(pooling="cls")
    assert minilm.space is not None
    assert minilm.space.reading == Reading()
    assert (minilm.space.model, minilm.space.runtime) == ("minilm-l6-v2", "onnx")


def test_files_are_counted(past: Past) -> None:
    (one,) = candidates(past.memory.patina(), ["minilm-l6-v2"])
    assert one.bytes == 23_160_127


def test_a_runtime_is_named_for_one_or_for_all(past: Past) -> None:
    patina = past.memory.patina()
    (named,) = candidates(patina, ["acme-64@onnx"], "mlx")
    assert named.space is not None
    assert named.space.runtime == "onnx"
    (wanted,) = candidates(patina, ["acme-64"], "mlx")
    assert wanted.space is None
    assert "acme-64 has no files for the runtime mlx" in wanted.error
    assert wanted.remedy


def test_what_was_not_pulled_is_no_error(past: Past) -> None:
    first, second = candidates(past.memory.patina(), ["e5-base-v2@onnx", "acme-64"])
    assert first.space is None
    assert "was not pulled yet" in first.error
    assert first.remedy == "patina models pull e5-base-v2 --runtime onnx"
    assert not second.error


def test_a_name_that_nobody_knows_is_one(past: Past) -> None:
    with pytest.raises(PluginError, match="did you mean acme-64"):
        candidates(past.memory.patina(), ["acme-64", "acme-46"])


@pytest.mark.parametrize(
    ("name", "lacks"),
    [("acme-64@", "runtime"), ("@onnx", "model"), ("@", "model"), ("acme-64@onnx@", "runtime")],
)
def test_what_stands_beside_nothing_is_no_name(past: Past, name: str, lacks: str) -> None:
    with pytest.raises(UsageError, match=f"^'{name}' names no {lacks}: expected MODEL or MODEL@RUNTIME"):
        candidates(past.memory.patina(), ["minilm-l6-v2", name])


def test_a_line_of_the_recipe_is_named_only_for_what_it_says(tmp_path: Path) -> None:
    memory = Memory.make(tmp_path / "repository")
    memory.write(".patina/oxidize.yaml", "version: 2\nembedding_model: acme-64\nruntime: abacus\n")
    patina = memory.patina()
    (its,) = candidates(patina, ["acme-64"])
    assert its.error.startswith(".patina/oxidize.yaml:3: no runtime is named 'abacus'")
    asked = candidates(patina, ["acme-64@sextant", "minilm-l6-v2@sextant"])
    assert [one.error.partition(" (")[0] for one in asked] == ["no runtime is named 'sextant'"] * 2


def test_the_index_of_the_recipe_does_not_matter(tmp_path: Path) -> None:
    """What is compared is read from the cache, so that an index whose plugin is absent stands in no way."""
    memory = Memory.make(tmp_path / "repository")
    memory.write(".patina/oxidize.yaml", "version: 2\nembedding_model: acme-64\nindex: nowhere\n")
    (one,) = candidates(memory.patina(), ["acme-64"])
    assert (one.error, one.space is None) == ("", False)


@pytest.mark.parametrize(
    "names",
    [
        ["acme-64", "acme-64@onnx"],
        ["acme-64", "acme-64@patina-onnx/onnx"],
        ["e5-base-v2", "e5-base-v2"],
        ["acme-64", "patina-acme/acme-64"],
    ],
)
def test_twice_the_same_is_nothing_to_compare(past: Past, names: list[str]) -> None:
    with pytest.raises(UsageError, match="are the same model in the same runtime"):
        candidates(past.memory.patina(), names)
