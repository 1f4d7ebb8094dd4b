"""The recipe: what is valid is read, what is not is refused with file, line and fix."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patina_hooks.errors import SettingsError
from patina_hooks.recipe import DEFAULT_MODEL, DEFAULT_TEXT, RECIPE_FILE, Recipe, load_recipe, parse_recipe

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


def refused(text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        parse_recipe(text, RECIPE_FILE)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "recipe"),
    [
        (VERSION_1, Recipe(version=1, model="e5-base-v2")),
        (VERSION_2, Recipe(model="minilm-l6-v2", runtime="mlx")),
        (WITHOUT_MODEL, Recipe()),
        ("embedding_model: acme/acme-64\nindex: exact\n", Recipe(model="acme/acme-64")),
        (DEFAULT_TEXT, Recipe(model=DEFAULT_MODEL)),
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
        ("- version\n", 1, "expected `key: value` lines"),
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
