"""Entries of models.toml as they are written: by whom, where, and under which names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from patina_hooks.errors import ModelError, PatinaError, SettingsError, UsageError
from patina_hooks.models.catalog.entry import add_model, refuse_name
from patina_hooks.models.catalog.user import user_models, user_models_file
from patina_hooks.plugins.manager import Plugins
from patina_hooks.specs.models import LocalFile, ModelSpec

ADDER = """
import sys
from pathlib import Path
from patina_hooks.specs.models import LocalFile, ModelSpec
from patina_hooks.models.catalog.entry import add_model

own = {"onnx": {"model": LocalFile(Path("/x").absolute(), "0" * 64)}}
print(flush=True)
sys.stdin.readline()
for number in range(10):
    add_model(ModelSpec(f"{sys.argv[1]}-{number}", dimensions=8, runtimes=own))
"""


def a_model(name: str) -> ModelSpec:
    return ModelSpec(
        name, dimensions=8, runtimes={"onnx": {"model": LocalFile(Path("/x").absolute(), "0" * 64)}}
    )


def test_who_adds_at_the_same_time_takes_out_nothing() -> None:
    names = ("a", "b", "c")
    adders = [
        subprocess.Popen(
            [sys.executable, "-c", ADDER, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for name in names
    ]
    for adder in adders:
        assert adder.stdout is not None
        assert adder.stdout.readline() == "\n"
    for adder in adders:
        assert adder.stdin is not None
        adder.stdin.write("\n")
        adder.stdin.flush()
    for adder in adders:
        adder.communicate()
    assert [adder.returncode for adder in adders] == [0, 0, 0]
    assert {one.name for one in user_models()} == {
        f"{name}-{number}" for name in names for number in range(10)
    }


@pytest.mark.parametrize("before", [None, "# kept with other settings\n"])
def test_a_file_that_is_a_link_stays_one(tmp_path: Path, before: str | None) -> None:
    kept = tmp_path / "dotfiles/models.toml"
    kept.parent.mkdir()
    if before is not None:
        kept.write_text(before)
    user_models_file().parent.mkdir(parents=True)
    user_models_file().symlink_to(kept)
    assert add_model(a_model("mine")) == user_models_file()
    assert user_models_file().readlink() == kept
    assert kept.read_text().startswith(f"{before or ''}".rstrip())
    assert [one.name for one in user_models()] == ["mine"]
    assert [path.name for path in kept.parent.iterdir()] == ["models.toml"]


def test_a_link_that_leads_nowhere_is_left_as_it_is() -> None:
    user_models_file().parent.mkdir(parents=True)
    user_models_file().symlink_to(user_models_file())
    with pytest.raises(SettingsError, match="cannot be read"):
        add_model(a_model("mine"))
    assert user_models_file().is_symlink()


@pytest.mark.parametrize(
    ("name", "error", "said", "hint"),
    [
        ("my model (v2)", UsageError, "'my model (v2)' cannot be the name", "--as my-model-v2"),
        ("x@y", UsageError, "'x@y' cannot be", "--as x-y"),
        ("é", UsageError, "'é' cannot be", "--as OTHER"),
        ("m" * 65, UsageError, "at most 63", f"--as {'m' * 64}"),
        ("minilm-l6-v2", ModelError, "the plugin patina-minilm has a model minilm-l6-v2", "--as OTHER"),
        ("mine", SettingsError, "has a model mine already", "--as OTHER"),
    ],
)
def test_a_name_that_no_entry_can_have(name: str, error: type[PatinaError], said: str, hint: str) -> None:
    add_model(a_model("mine"))
    with pytest.raises(error) as caught:
        refuse_name(Plugins.load(), name, "--as")
    assert said in str(caught.value)
    assert caught.value.hint.endswith(hint)
    refuse_name(Plugins.load(), "another", "--as")
