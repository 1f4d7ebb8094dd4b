"""The recipe: what is valid is read, what is not is refused with file, line and fix."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.memory import plugins

from patina_hooks.config.recipe import (
    DEFAULT_MODEL,
    DEFAULT_TEXT,
    Background,
    ProjectionRecipe,
    Reading,
    Recipe,
    load_recipe,
    parse_recipe,
)
from patina_hooks.config.shared_files import RECIPE_FILE
from patina_hooks.errors import PluginError, SettingsError
from patina_hooks.search.index.spaces import requested_space

VERSION_1 = """\
version: 1
embedding_model: e5-base-v2
projections:
  semantic:
    layers: [768, 1024, 256]
    epochs: 10
    batch_size: 32
"""
VERSION_2 = """\
version: 2
embedding_model: minilm-l6-v2
runtime: mlx
projections:
  semantic:
    type: residual
    layers: [1024, 256]
    training: {source: sessions, pair_type: same_session, epochs: 10, batch_size: 32}
  temporal:
    layers: [512, 128]
"""
WITHOUT_MODEL = "version: 2\nprojections:\n  semantic:\n    layers: [1024, 256]\n"
LEARNED = "projections:\n  semantic:\n"


def refused(text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        parse_recipe(text, RECIPE_FILE)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "recipe"),
    [
        (
            VERSION_1,
            Recipe(
                version=1,
                model="e5-base-v2",
                projections=(
                    ProjectionRecipe("semantic", layers=(768, 1024, 256), epochs=10, batch_size=32),
                ),
            ),
        ),
        (
            VERSION_2,
            Recipe(
                model="minilm-l6-v2",
                runtime="mlx",
                projections=(
                    ProjectionRecipe("semantic", "residual", (1024, 256), "sessions", "same_session", 10, 32),
                    ProjectionRecipe("temporal", layers=(512, 128)),
                ),
            ),
        ),
        (WITHOUT_MODEL, Recipe(projections=(ProjectionRecipe("semantic", layers=(1024, 256)),))),
        (
            "instruction: find it\npooling: last\nextraction_layer: -1\ntruncate: 256\n"
            "projections: {semantic: {truncate: 256}}\n",
            Recipe(reading=Reading("find it", "last", -1, 256), projections=(ProjectionRecipe("semantic"),)),
        ),
        (
            "projections:\n  one: {pooling: last}\n  two: {pooling: last, truncate: 128}\n",
            Recipe(
                reading=Reading(pooling="last", truncate=128),
                projections=(ProjectionRecipe("one"), ProjectionRecipe("two")),
            ),
        ),
        ("projections: {}\n", Recipe()),
        ("embedding_model: acme/acme-64\nindex: exact\n", Recipe(model="acme/acme-64")),
        (DEFAULT_TEXT, Recipe(model=DEFAULT_MODEL, background=Background("growth"))),
        ("", Recipe()),
        ("# nothing yet\n\n", Recipe()),
        ("---\n", Recipe()),
    ],
)
def test_every_dialect_is_read(text: str, recipe: Recipe) -> None:
    assert parse_recipe(text, RECIPE_FILE) == recipe


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("version: 2\nmodle: x\n", 2, "unknown key 'modle'; expected one of: version, embedding_model"),
        ("runtime: onnx\nversion: 2\nruntime: mlx\n", 3, "'runtime' is given twice"),
        ("version: 3\n", 1, "version is 3, expected 1 or 2; write: version: 2"),
        ("version: yes\n", 1, "expected 1 or 2"),
        ("version: 2\nembedding_model: ../../etc/passwd\n", 2, "expected the name of an installed one"),
        ("version: 2\n\nruntime:\n", 3, "runtime is ''"),
        ("version: 2\nembedding_model: [a, b]\n", 2, "expected the name of an installed one"),
        ("version: 2\nprojections: all\n", 2, "projections is 'all', expected a mapping"),
        ("version: 2\nprojections: [semantic]\n", 2, "expected a mapping"),
        ("- version\n", 1, "expected a mapping, `key: value` lines"),
        (
            LEARNED + "    epoch: 3\n",
            3,
            "unknown key 'projections.semantic.epoch'; expected one of: type, layers",
        ),
        (LEARNED + "    training:\n      epoch: 3\n", 4, "unknown key 'projections.semantic.training.epoch'"),
        (LEARNED + "    training: 3\n", 3, "projections.semantic.training is 3, expected a mapping"),
        (
            LEARNED + "    layers: [256]\n",
            3,
            "layers is [256], expected 2 or 3 whole numbers from 1 to 16384; write:",
        ),
        (LEARNED + "    layers: [1, 2, 3, 4]\n", 3, "expected 2 or 3 whole numbers from 1 to 16384"),
        (LEARNED + "    layers: [1024, 0]\n", 3, "expected 2 or 3 whole numbers from 1 to 16384"),
        (LEARNED + "    layers: [1024, wide]\n", 3, "layers is [1024, 'wide'], expected 2 or 3"),
        (
            LEARNED + "    layers: [20000, 256]\n",
            3,
            "layers is [20000, 256], expected 2 or 3 whole numbers from",
        ),
        (
            LEARNED + "    batch_size: 100000\n",
            3,
            "batch_size is 100000, expected a whole number from 1 to 4096",
        ),
        (
            "projections:\n" + "".join(f"  p{number}: {{}}\n" for number in range(33)),
            1,
            "projections has 33 entries, expected 32 at most",
        ),
        (LEARNED + "    layers: 256\n", 3, "layers is 256, expected 2 or 3 whole numbers from 1 to 16384"),
        (
            LEARNED + "    epochs: many\n",
            3,
            "epochs is 'many', expected a whole number from 1 to 10000; write: epochs",
        ),
        (LEARNED + "    epochs: -1\n", 3, "epochs is -1, expected a whole number from 1 to 10000"),
        (LEARNED + "    batch_size: " + "9" * 5000 + "\n", 3, "expected a whole number from 1 to 4096"),
        (LEARNED + "    epochs: 1\n    training: {epochs: 2}\n", 4, "'epochs' is given twice"),
        (
            LEARNED + "    pooling: last\npooling: mean\n",
            3,
            "projections.semantic.pooling is 'last', but line 4 states 'mean', expected the same value",
        ),
        (LEARNED + "    truncate: 64\n  two: {truncate: 32}\n", 4, "but line 3 states 64"),
        (LEARNED + "    pooling: max\n", 3, "pooling is 'max', expected one of: mean, cls, last"),
        (LEARNED + "    type: [a]\n", 3, "expected the name of a kind of projection; write: type: residual"),
        ("projections: {../x: {}}\n", 1, "'../x' is not a name for a projection"),
        ("projections: {a: {}, a: {}}\n", 1, "'a' is given twice"),
        ("extraction_layer: last\n", 1, "extraction_layer is 'last', expected a whole number"),
        ("truncate: 0\n", 1, "truncate is 0, expected a whole number from 1 to 16384"),
        ("version: 2\nembedding_model: &x acme\n", 2, "anchors and aliases are not read"),
        ("version: 2\nembedding_model: *x\n", 2, "anchors and aliases are not read"),
        ("version: 2\nembedding_model: !!python/object/apply:os.system [id]\n", 2, "is not read"),
        ("version: 2\nembedding_model: !include x\n", 2, "the tag !include is not read"),
        ("version: 2\nembedding_model: 'open\n", 3, "not YAML"),
        ("version: 2\n---\nversion: 1\n", 2, "not YAML"),
        ("version: 2\nprojections: " + "[" * 9 + "]" * 9 + "\n", 2, "nested deeper than 8 levels"),
        ("projections: " + "{a: " * 200, 1, "nested deeper than 8 levels"),
        ("# " + "x" * 70_000, 1, "larger than 65536 bytes"),
    ],
)
def test_what_is_invalid_is_refused_with_its_place(text: str, line: int, says: str) -> None:
    message = refused(text)
    assert message.startswith(f"{RECIPE_FILE}:{line}: ")
    assert says in message


@given(st.text(max_size=200))
def test_no_text_does_anything_but_parse_or_be_refused_with_its_place(text: str) -> None:
    try:
        assert isinstance(parse_recipe(text, RECIPE_FILE), Recipe)
    except SettingsError as error:
        place, line, _ = str(error).split(":", 2)
        assert (place, line.isdigit()) == (RECIPE_FILE, True)


def test_a_repository_without_one_has_the_default(tmp_path: Path) -> None:
    assert load_recipe(tmp_path) == Recipe()


def test_it_is_read_from_the_work_tree_and_never_through_a_link(tmp_path: Path) -> None:
    path = tmp_path / RECIPE_FILE
    path.parent.mkdir()
    path.write_text("embedding_model: acme-64\n")
    assert load_recipe(tmp_path).model == "acme-64"
    outside = path.rename(tmp_path / "outside.yaml")
    path.symlink_to(outside)
    assert load_recipe(tmp_path) == Recipe()


def test_a_folder_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/oxidize.yaml").write_text("embedding_model: acme-64\n")
    (tmp_path / "root").mkdir()
    (tmp_path / "root/.patina").symlink_to(tmp_path / "outside")
    assert load_recipe(tmp_path / "root") == Recipe()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("version: 2\nembedding_model: nope\n", ":2: no model is named 'nope'"),
        ("embedding_model: minilm-l6-v2\n\nruntime: nope\n", ":3: no runtime is named 'nope'"),
        ("version: 2\nruntime: auto\nindex: nope\n", ":3: no index backend is named 'nope'"),
        ("embedding_model: minilm-l6-v2\ntruncate: 100\n", ":2: truncate is 100, expected 384"),
        ("instruction: Find it\n", ":1: instruction is 'Find it', expected none"),
        ("projections:\n  one: {extraction_layer: 9}\n", ":2: extraction_layer is 9, expected -1"),
    ],
)
def test_what_plugins_cannot_do_is_said_at_its_line(text: str, says: str) -> None:
    with pytest.raises(PluginError) as caught:
        requested_space(plugins(), parse_recipe(text, RECIPE_FILE))
    assert f"{RECIPE_FILE}{says}" in str(caught.value)


@pytest.mark.parametrize("runtime", ["onnx", "onnx/int8", "patina-onnx/onnx", "patina-onnx/onnx/int8"])
def test_a_runtime_is_named_with_its_plugin_and_a_precision_or_without(runtime: str) -> None:
    assert parse_recipe(f"runtime: {runtime}\n", "recipe").runtime == runtime
    with pytest.raises(SettingsError, match="recipe:1: runtime is 'a/b/c/d', expected the name"):
        parse_recipe("runtime: a/b/c/d\n", "recipe")
    with pytest.raises(SettingsError, match="recipe:1: embedding_model is 'a/b/c', expected the name"):
        parse_recipe("embedding_model: a/b/c\n", "recipe")
