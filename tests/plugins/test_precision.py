"""What a user's settings change of a runtime's vectors is said, and part of the fingerprint.

What is usual has no word, so that runtimes of one file share their vectors.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from patina_mlx.precision import variant as of_mlx
from patina_onnx.providers import variant as of_onnx
from support.parity import likeness, vectors_of
from support.tiny_models import Twin, make_twin

from patina_hooks import hookimpl
from patina_hooks.config.settings import user_file
from patina_hooks.errors import ModelError, SettingsError
from patina_hooks.models.encoding import compute_fingerprint, open_encoder, resolve_model
from patina_hooks.plugins.manager import Plugins
from patina_hooks.specs.models import ModelSpec


def say(text: str) -> None:
    user_file().parent.mkdir(parents=True, exist_ok=True)
    user_file().write_text(text)


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Twin:
    return make_twin("bert", tmp_path_factory.mktemp("twin"))


def provided(spec: ModelSpec) -> Plugins:
    plugins = Plugins.load()
    plugins.register(SimpleNamespace(patina_register_models=hookimpl(lambda: [spec])), "twin")
    return plugins


def test_half_precision_gives_other_vectors_under_another_fingerprint(twin: Twin) -> None:
    spec = twin.spec("mlx")
    plugins = provided(spec)
    whole = open_encoder(plugins, spec.name)
    say('[runtime.mlx]\ndtype = "float32"\n')
    assert open_encoder(plugins, spec.name).fingerprint == whole.fingerprint
    say('[runtime.mlx]\ndtype = "bfloat16"\n')
    half = open_encoder(plugins, spec.name)
    assert (whole.variant, half.variant) == ("", "bfloat16")
    assert half.fingerprint == compute_fingerprint(*resolve_model(plugins, spec.name)) != whole.fingerprint
    found, expected = vectors_of(half), vectors_of(whole)
    assert not np.array_equal(found, expected)
    assert 0.98 < likeness(found, expected) < 0.9999999


def test_what_means_nothing_is_said_before_a_model_is_opened(twin: Twin) -> None:
    spec = twin.spec("mlx")
    say('[runtime.mlx]\ndtype = "int8"\n')
    with pytest.raises(SettingsError, match=r"runtime\.mlx\.dtype: expected one of: float32, bfloat16"):
        of_mlx(spec)
    with pytest.raises(ModelError, match=r"the runtime mlx cannot be used: .*runtime\.mlx\.dtype: expected"):
        resolve_model(provided(spec), spec.name)


@pytest.mark.parametrize(
    ("providers", "system", "said"),
    [
        (["cpu"], "darwin", ""),
        (["coreml", "cpu"], "darwin", "coreml"),
        (["coreml"], "darwin", "coreml"),
        (["cpu", "coreml"], "darwin", ""),
        (["coreml", "cpu"], "linux", ""),
        (["cuda", "cpu"], "linux", ""),
        (["directml"], "win32", ""),
    ],
)
def test_a_provider_that_halves_digits_is_told_apart(
    twin: Twin, monkeypatch: pytest.MonkeyPatch, providers: list[str], system: str, said: str
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    say(f"[runtime.onnx]\nproviders = {providers!r}\n".replace("'", '"'))
    assert of_onnx(twin.spec("onnx")) == said


def test_one_file_of_two_runtimes_has_one_fingerprint_and_each_precision_its_own(
    twin: Twin, tmp_path: Path
) -> None:
    spec = twin.spec("mlx")
    other = make_twin("bert", tmp_path / "other")
    other.weights.write_bytes(other.weights.read_bytes() + b"\0")
    several = replace(
        spec,
        runtimes={
            "mlx": spec.runtimes["mlx"],
            "twice": spec.runtimes["mlx"],
            "mlx/same": spec.runtimes["mlx"],
            "mlx/other": other.spec("mlx").runtimes["mlx"],
        },
        unbatched_runtimes=("mlx/same",),
    )
    plugins = provided(several)
    plugins.register(SimpleNamespace(patina_register_runtimes=hookimpl(_twice)), "twice")
    told = {
        name: compute_fingerprint(*resolve_model(plugins, several.name, name)) for name in several.runtimes
    }
    assert told["mlx"] == told["twice"]
    assert len(set(told.values())) == 3
    say('[runtime.mlx]\ndtype = "bfloat16"\n')
    halves = {compute_fingerprint(*resolve_model(plugins, several.name, name)) for name in ("mlx", "twice")}
    assert len(halves) == 2, "one word for both, but what they round is their own"


def _twice() -> list[object]:
    mlx = Plugins.load().runtime("mlx")
    return [replace(mlx, name="twice")]


@pytest.mark.torch
def test_torch_shares_vectors_with_mlx_unless_it_halves_digits(twin: Twin) -> None:
    from patina_torch.device import variant as of_torch

    files = twin.spec("mlx").runtimes["mlx"]
    spec = replace(twin.spec("mlx"), runtimes={"mlx": files, "torch": files})
    plugins = provided(spec)
    shared = compute_fingerprint(*resolve_model(plugins, spec.name, "torch"))
    assert shared == compute_fingerprint(*resolve_model(plugins, spec.name, "mlx"))
    say('[runtime.torch]\ndtype = "bfloat16"\n')
    assert of_torch(spec) == "bfloat16"
    half = open_encoder(plugins, spec.name, "torch").fingerprint
    assert half != shared
    say('[runtime.torch]\ndtype = "bfloat16"\n[runtime.mlx]\ndtype = "bfloat16"\n')
    others = compute_fingerprint(*resolve_model(plugins, spec.name, "mlx"))
    assert others not in (half, shared), "in half the digits the two agree to two or three of them"
    say('[runtime.torch]\ndtype = "int4"\n')
    with pytest.raises(
        ModelError, match=r"torch cannot be used: .*expected one of: float32, bfloat16, float16"
    ):
        resolve_model(plugins, spec.name, "torch")
