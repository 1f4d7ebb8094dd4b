from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from patina_hooks.errors import ModelError, PluginError, SettingsError
from patina_hooks.models.choice import (
    choose_runtime,
    files_for,
    is_eligible,
    list_runtime_options,
    missing_modules,
    provider_of,
    runtime_for,
)
from patina_hooks.plugins.hookspecs import hookimpl
from patina_hooks.plugins.manager import Plugins
from patina_hooks.specs.models import ModelSpec, RuntimeSpec

ALL = ("mlx", "onnx", "torch", "zeta", "alpha")


def model(*runtimes: str) -> ModelSpec:
    return ModelSpec("acme", dimensions=8, runtimes={name: {} for name in runtimes})


def here(*names: str) -> dict[str, tuple[str, ...]]:
    """Runtimes that lack nothing."""
    return dict.fromkeys(names, ())


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
    choice = choose_runtime(model(*listed), here(*installed), platform)
    assert choice.runtime == chosen
    assert platform in choice.reason


def test_every_runtime_has_its_reason_and_what_would_mend_it() -> None:
    installed = {**here("onnx", "zeta", "other"), "torch": ("torch", "transformers")}
    options = list_runtime_options(model("onnx", "mlx", "torch", "zeta", "acme"), installed, "linux")
    assert [(one.runtime, one.usable, one.remedy) for one in options] == [
        ("onnx", True, ""),
        ("torch", False, "pip install torch transformers"),
        ("acme", False, ""),
        ("mlx", False, "pip install patina-mlx"),
        ("zeta", True, ""),
        ("other", False, ""),
    ]
    reasons = {one.runtime: one.reason for one in options}
    assert reasons["onnx"] == "the first of onnx, torch, acme, mlx, zeta that can run here (linux)"
    assert reasons["torch"] == "torch, transformers cannot be imported"
    assert reasons["mlx"] == "no installed plugin provides it"
    assert reasons["zeta"] == "can run here, but onnx comes first (linux)"
    assert reasons["other"] == "the model has no files for it"


def test_on_linux_mlx_says_where_it_would_be_first() -> None:
    _, mlx = list_runtime_options(model("onnx", "mlx"), here("onnx", "mlx"), "linux")
    assert mlx.reason.endswith("; on Apple silicon it would be first")


def test_without_any_it_says_why_of_each_and_what_mends_it() -> None:
    with pytest.raises(ModelError, match="onnx: no installed plugin provides it; mlx: no") as caught:
        choose_runtime(model("onnx", "mlx"), here("torch"), "linux")
    assert caught.value.hint == "pip install patina-onnx"
    with pytest.raises(ModelError, match="zeta: no installed plugin provides it") as caught:
        choose_runtime(model("zeta"), here(), "linux")
    assert "patina models explain acme" in caught.value.hint


def test_files_of_another_precision_run_by_name_alone() -> None:
    options = list_runtime_options(
        model("onnx", "onnx/int8", "mlx/4bit", "torch"), here("onnx", "mlx"), "linux"
    )
    assert [(one.runtime, one.usable, one.explicit_only, one.remedy) for one in options] == [
        ("onnx", True, False, ""),
        ("onnx/int8", True, True, ""),
        ("torch", False, False, "pip install patina-torch"),
        ("mlx/4bit", True, True, ""),
    ]
    assert [is_eligible(one) for one in options] == [True, False, False, False]
    assert [is_eligible(one, "mlx/4bit") for one in options] == [False, False, False, True]
    assert options[0].reason == "the first of onnx, torch that can run here (linux)"
    assert options[3].reason == "can run where a recipe names it: runtime: mlx/4bit"
    with pytest.raises(ModelError, match="mlx/4bit: can run where a recipe names it: runtime: mlx/4bit"):
        choose_runtime(model("mlx/4bit"), here("mlx"), "darwin-arm64")


@pytest.mark.parametrize(
    ("wanted", "files", "provider"),
    [
        ("here", "here", "here"),
        ("here/int8", "here/int8", "here"),
        ("acme/here", "here", "acme/here"),
        ("acme/here/int8", "here/int8", "acme/here"),
        ("gone", "gone", "gone"),
    ],
)
def test_a_name_may_say_plugin_runtime_and_precision(wanted: str, files: str, provider: str) -> None:
    spec = model("here", "here/int8")
    assert (files_for(spec, wanted), provider_of(spec, wanted)) == (files, provider)


@pytest.mark.parametrize("wanted", ["here/int8", "acme/here/int8", "acme/here"])
def test_a_precision_that_was_asked_for_is_run(plugins: Plugins, wanted: str) -> None:
    assert runtime_for(plugins, model("here", "here/int8"), wanted).runtime == wanted


def test_a_precision_that_the_model_lacks_is_said_with_those_it_has(plugins: Plugins) -> None:
    with pytest.raises(ModelError, match="no files for the runtime here/fp8; it has: here, here/int8"):
        runtime_for(plugins, model("here", "here/int8"), "here/fp8")


def test_what_settings_change_of_vectors_is_asked_of_the_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "acme_settings", SimpleNamespace(said=said, wrong=wrong))
    specs = [
        RuntimeSpec("here", "acme:open", variant="acme_settings:said"),
        RuntimeSpec("slip", "acme:open", variant="acme_settings:wrong"),
    ]
    found = Plugins()
    found.register(SimpleNamespace(patina_register_runtimes=hookimpl(lambda: specs)), "acme")
    assert runtime_for(found, model("here")).variant == "acme in bfloat16"
    assert runtime_for(found, model("here"), "here").variant == "acme in bfloat16"
    with pytest.raises(ModelError, match=r"the runtime slip cannot be used: config\.toml:1: no"):
        runtime_for(found, model("slip"))


def said(spec: ModelSpec) -> str:
    return f"{spec.name} in bfloat16"


def wrong(spec: ModelSpec) -> str:
    raise SettingsError("config.toml:1: no")


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
    with pytest.raises(PluginError, match="no runtime is named 'torch'") as caught:
        runtime_for(plugins, model("torch"), "torch")
    assert caught.value.hint == "pip install patina-torch"


def test_looking_for_modules_does_not_import_them() -> None:
    sys.modules.pop("wave", None)
    assert missing_modules(RuntimeSpec("x", "a:b", modules=("wave",))) == ()
    assert "wave" not in sys.modules


def test_the_variant_of_a_runtime_stays_out_of_stdout_when_it_prints(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def noisy(spec: ModelSpec) -> str:
        sys.stdout.write("printed by the runtime\n")
        return spec.name

    monkeypatch.setitem(sys.modules, "acme_settings", SimpleNamespace(noisy=noisy))
    specs = [RuntimeSpec("noisy", "acme:open", variant="acme_settings:noisy")]
    plugins = Plugins()
    plugins.register(SimpleNamespace(patina_register_runtimes=hookimpl(lambda: specs)), "acme")
    assert runtime_for(plugins, model("noisy")).variant == "acme"
    assert capsys.readouterr() == ("", "printed by the runtime\n")
