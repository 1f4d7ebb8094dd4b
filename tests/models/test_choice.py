from __future__ import annotations

from types import SimpleNamespace

import pytest

from patina_hooks.errors import ModelError, PluginError
from patina_hooks.hookspecs import hookimpl
from patina_hooks.models.choice import choose_runtime, missing_modules, runtime_for
from patina_hooks.plugins import Plugins
from patina_hooks.types import ModelSpec, RuntimeSpec

ALL = ("mlx", "onnx", "torch", "zeta", "alpha")


def model(*runtimes: str) -> ModelSpec:
    return ModelSpec("acme", dimensions=8, runtimes={name: {} for name in runtimes})


@pytest.mark.parametrize(
    ("listed", "installed", "platform", "chosen"),
    [
        (ALL, ALL, "darwin-arm64", "mlx"),
        (ALL, ALL, "darwin-x86_64", "onnx"),
        (ALL, ALL, "linux", "onnx"),
        (("onnx", "torch"), ALL, "darwin-arm64", "onnx"),
        (ALL, ("torch", "mlx"), "darwin-arm64", "mlx"),
        (ALL, ("torch", "mlx"), "linux", "torch"),
        (ALL, ("mlx",), "linux", "mlx"),
        (ALL, ("zeta", "alpha"), "linux", "alpha"),
    ],
)
def test_auto_takes_the_first_that_model_machine_and_plugins_allow(
    listed: tuple[str, ...], installed: tuple[str, ...], platform: str, chosen: str
) -> None:
    choice = choose_runtime(model(*listed), installed, platform)
    assert choice.runtime == chosen
    assert platform in choice.reason


def test_without_any_it_says_what_the_model_wants_and_what_there_is() -> None:
    with pytest.raises(ModelError, match="has files for mlx, onnx; usable here: torch") as caught:
        choose_runtime(model("onnx", "mlx"), ["torch"], "linux")
    assert "(mlx, onnx)" in caught.value.hint


@pytest.fixture
def plugins() -> Plugins:
    specs = [
        RuntimeSpec("here", "acme:open", modules=("json",)),
        RuntimeSpec("gone", "acme:open", modules=("json", "no_such_module", "no.such.module")),
    ]
    found = Plugins()
    found.register(SimpleNamespace(patina_register_runtimes=hookimpl(lambda: specs)), "acme")
    return found


def test_auto_passes_over_a_runtime_whose_modules_are_not_installed(plugins: Plugins) -> None:
    assert runtime_for(plugins, model("gone", "here")).runtime == "here"


def test_a_runtime_that_was_asked_for_runs_or_says_why_not(plugins: Plugins) -> None:
    assert runtime_for(plugins, model("here"), "here").runtime == "here"
    with pytest.raises(ModelError, match=r"gone cannot run here: no_such_module, no\.such\.module cannot"):
        runtime_for(plugins, model("gone"), "gone")
    with pytest.raises(ModelError, match="no files for the runtime here; it has: gone"):
        runtime_for(plugins, model("gone"), "here")
    with pytest.raises(PluginError, match="no runtime is named 'hare'"):
        runtime_for(plugins, model("here"), "hare")


def test_looking_for_modules_does_not_import_them() -> None:
    import sys

    sys.modules.pop("wave", None)
    assert missing_modules(RuntimeSpec("x", "a:b", modules=("wave",))) == ()
    assert "wave" not in sys.modules
