"""Exported files: held against golden vectors of transformers; mutants; what is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import pytest
from golden import PREFIX
from hypothesis import given, settings
from hypothesis import strategies as st
from patina_export.graph import PRECISIONS, Precision, quantise
from patina_export.prove import invariance
from patina_export.rotation import rotation
from patina_export.write import export_onnx
from patina_onnx.external import external_names
from safetensors.numpy import load_file, save_file
from support.exporting import LEAST, Change, encoder, expected, export, likeness, opened, twin_with
from support.tiny_models import ARCHITECTURES, TEXTS, Architecture, make_twin

from patina_hooks.errors import ModelError
from patina_hooks.models.encoding import pad_batch
from patina_hooks.specs.models import Pooling, TokenModel, Tokens

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from patina_hooks.specs.vectors import Vectors

EVERY = pytest.mark.parametrize("architecture", ARCHITECTURES)
BOTH = pytest.mark.parametrize("precision", PRECISIONS)


# --- sameness -------------------------------------------------------------------------------------


@EVERY
@BOTH
@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
def test_vectors_are_those_of_the_source(
    tmp_path: Path, architecture: Architecture, precision: Precision, pooling: Pooling
) -> None:
    twin = make_twin(architecture, tmp_path)
    model = opened(twin, export(twin, tmp_path, precision), pooling=pooling)
    assert likeness(model, expected(architecture, pooling)) > LEAST[precision]


@EVERY
@pytest.mark.parametrize("layer", [0, 1, 2, 3, -1, -2, -4])
def test_every_hidden_layer_can_be_exported(tmp_path: Path, architecture: Architecture, layer: int) -> None:
    twin = make_twin(architecture, tmp_path)
    model = opened(twin, export(twin, tmp_path, layer=layer), layer=layer, pooling="mean")
    assert likeness(model, expected(architecture, "mean", layer)) > LEAST["fp32"]


@EVERY
def test_a_config_as_transformers_saves_it_gives_the_same_file(
    tmp_path: Path, architecture: Architecture
) -> None:
    published = make_twin(architecture, tmp_path / "a")
    saved = make_twin(architecture, tmp_path / "b", as_saved_by_transformers=True)
    files = [export(twin, twin.config.parent) for twin in (published, saved)]
    assert files[0].read_bytes() == files[1].read_bytes()


@EVERY
def test_an_export_of_the_same_files_is_the_same_bytes(tmp_path: Path, architecture: Architecture) -> None:
    twin = make_twin(architecture, tmp_path)
    assert export(twin, tmp_path, "int8").read_bytes() == export(twin, tmp_path / "b", "int8").read_bytes()


@cache
def model_of(architecture: Architecture, precision: Precision) -> TokenModel:
    with TemporaryDirectory() as folder:
        twin = make_twin(architecture, Path(folder))
        return opened(twin, export(twin, Path(folder), precision)).model


@EVERY
@BOTH
@settings(max_examples=20, deadline=None)
@given(texts=st.lists(st.sampled_from([text for text in TEXTS if text]), min_size=1, max_size=12))
def test_a_vector_does_not_depend_on_its_company(
    architecture: Architecture, precision: Precision, texts: list[str]
) -> None:
    model = model_of(architecture, precision)
    batch = model.tokenize(texts, 48)
    together = model.forward(*pad_batch(batch))
    for row, one in zip(together, batch, strict=True):
        (alone,) = model.forward(*pad_batch([one]))
        np.testing.assert_allclose(row[: len(one.ids)], alone, atol=1e-4)


# --- mutants: a parity test that they pass proves nothing -------------------------------------------


class Wrapped:
    """A model of which one thing is wrong."""

    def __init__(self, model: TokenModel) -> None:
        self.model = model

    def tokenize(self, texts: Sequence[str], max_tokens: int) -> list[Tokens]:
        return self.model.tokenize(texts, max_tokens)

    def forward(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> Vectors:
        return self.model.forward(ids, mask)


class Unmasked(Wrapped):
    """It takes padding for text."""

    def forward(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> Vectors:
        return super().forward(ids, np.ones_like(mask))


class Bare(Wrapped):
    """Its texts have lost their first and last token, which for most are the special ones."""

    def tokenize(self, texts: Sequence[str], max_tokens: int) -> list[Tokens]:
        return [Tokens(one.ids[1:-1]) for one in super().tokenize(texts, max_tokens)]


@EVERY
def test_mutants_are_seen(tmp_path: Path, architecture: Architecture) -> None:
    twin = make_twin(architecture, tmp_path)
    path = export(twin, tmp_path)
    right = opened(twin, path, pooling="mean")
    mutants = {
        "pooling": opened(twin, path, pooling="last"),
        "prefix": opened(twin, path, pooling="mean", passage_prefix=PREFIX),
        "layer": opened(twin, export(twin, tmp_path, layer=-2), pooling="mean", layer=-2),
        "special tokens": encoder(right.spec, Bare(right.model)),
    }
    wanted = expected(architecture, "mean")
    assert likeness(right, wanted) > LEAST["fp32"]
    assert [name for name, mutant in mutants.items() if likeness(mutant, wanted) > 0.9] == []


@pytest.mark.parametrize("architecture", ["bert", "nomic_bert"])
def test_an_ignored_mask_is_seen(tmp_path: Path, architecture: Architecture) -> None:
    """A causal model cannot see what is padded on its right; these can."""
    twin = make_twin(architecture, tmp_path)
    right = opened(twin, export(twin, tmp_path))
    assert invariance(right, TEXTS) > 0.999999
    assert invariance(encoder(right.spec, Unmasked(right.model)), TEXTS) < 0.9


@pytest.mark.parametrize(
    ("architecture", "key", "value"),
    [
        ("bert", "hidden_act", "relu"),
        ("bert", "num_attention_heads", 2),
        ("bert", "layer_norm_eps", 0.3),
        ("nomic_bert", "rotary_emb_base", 10_000),
        ("nomic_bert", "activation_function", "gelu"),
        ("qwen3", "rope_theta", 100),
        ("qwen3", "rms_norm_eps", 0.3),
        ("olmo3", "sliding_window", 3),
        ("olmo3", "rope_scaling", None),
        ("olmo3", "layer_types", ["full_attention"] * 3),
    ],
)
def test_what_the_config_says_reaches_the_vectors(
    tmp_path: Path, architecture: Architecture, key: str, value: object
) -> None:
    twin = twin_with(architecture, tmp_path, keys={key: value})
    model = opened(twin, export(twin, tmp_path), pooling="mean")
    assert likeness(model, expected(architecture, "mean")) < 0.999


# --- files ----------------------------------------------------------------------------------------


@BOTH
def test_weights_above_the_limit_lie_beside_the_file(tmp_path: Path, precision: Precision) -> None:
    twin = make_twin("bert", tmp_path)
    whole = export(twin, tmp_path / "whole", precision)
    parts = export(twin, tmp_path / "parts", precision, external_above=10_000)
    assert external_names(parts) == [f"{parts.name}.data"]
    assert external_names(whole) == []
    assert parts.stat().st_size < whole.stat().st_size / 2
    one, other = (opened(twin, path).encode(TEXTS, role="query").vectors for path in (whole, parts))
    assert np.array_equal(one, other)


def test_data_of_an_earlier_export_is_taken_away(tmp_path: Path) -> None:
    twin = make_twin("bert", tmp_path / "twin")
    export(twin, tmp_path / "out", external_above=10_000)
    path = export(twin, tmp_path / "out")
    assert list(path.parent.iterdir()) == [path]


def test_shards_are_one_model(tmp_path: Path) -> None:
    twin = make_twin("olmo3", tmp_path)
    tensors = load_file(twin.weights)
    parts = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    for place, path in enumerate(parts):
        save_file({name: tensors[name] for name in sorted(tensors)[place::2]}, path)
    exported = export_onnx(twin.config, parts, tmp_path / "model.onnx")
    assert exported.parameters == sum(tensor.size for tensor in tensors.values())
    assert likeness(opened(twin, exported.model, pooling="mean"), expected("olmo3", "mean")) > LEAST["fp32"]


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_weights_in_half_precision_are_read(tmp_path: Path, kind: str) -> None:
    assert ml_dtypes.bfloat16  # numpy knows the name from here
    twin = twin_with("qwen3", tmp_path, lambda tensors: {n: t.astype(kind) for n, t in tensors.items()})
    assert likeness(opened(twin, export(twin, tmp_path)), expected("qwen3", "last")) > 0.99


@pytest.mark.parametrize("prefix", ["bert.", "model."])
def test_a_prefix_of_names_does_not_matter(tmp_path: Path, prefix: str) -> None:
    twin = twin_with("bert", tmp_path, lambda tensors: {f"{prefix}{n}": t for n, t in tensors.items()})
    assert likeness(opened(twin, export(twin, tmp_path)), expected("bert", "mean")) > LEAST["fp32"]


def without(name: str) -> Change:
    return lambda tensors: {n: t for n, t in tensors.items() if n != name}


def with_ones(name: str, size: int) -> Change:
    return lambda tensors: {**tensors, name: np.ones(size, np.float32)}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without("encoder.layer.1.output.dense.bias"), r"encoder\.layer\.1\.output\.dense\.bias is absent"),
        (with_ones("adapter.up", 3), r"nothing is known of the tensors adapter\.up"),
        (with_ones("encoder.layer.3.output.dense.bias", 32), r"nothing is known of .* encoder\.layer\.3"),
        (
            with_ones("embeddings.LayerNorm.bias", 31),
            r"has the shape \[31\], and config\.json asks for \[32\]",
        ),
    ],
)
def test_tensors_that_do_not_fit_the_config_are_named(tmp_path: Path, change: Change, said: str) -> None:
    twin = twin_with("bert", tmp_path / "twin", change)
    with pytest.raises(ModelError, match=said):
        export(twin, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("architecture", "keys", "said"),
    [
        ("bert", {"model_type": "t5"}, "model_type is 't5'; export knows bert, nomic_bert, olmo3, qwen3"),
        ("bert", {"hidden_act": "mish"}, "hidden_act is 'mish'; export builds gelu or relu or silu"),
        ("bert", {"hidden_size": "wide"}, "hidden_size is 'wide'; export builds a whole number from 1"),
        ("bert", {"position_embedding_type": "relative_key"}, "position_embedding_type is 'relative_key'"),
        ("bert", {"layer_norm_eps": 0}, "layer_norm_eps is 0; export builds a number above 0"),
        ("nomic_bert", {"rotary_emb_fraction": 0.5}, r"rotary_emb_fraction is 0\.5"),
        ("nomic_bert", {"qkv_proj_bias": True}, "qkv_proj_bias is True"),
        ("qwen3", {"rope_scaling": {"rope_type": "longrope", "factor": 2}}, "export builds default or yarn"),
        ("qwen3", {"rope_scaling": {"rope_type": "yarn"}}, r"complete \('factor'\)"),
        ("qwen3", {"quantization": {"bits": 4, "group_size": 64}}, "quantization is"),
        ("olmo3", {"layer_types": ["full_attention"]}, "layer_types is .* export builds 3 of full_attention"),
        ("olmo3", {"sliding_window": "all"}, "sliding_window is 'all'"),
    ],
)
def test_a_config_that_is_not_built_is_refused_by_key(
    tmp_path: Path, architecture: Architecture, keys: Mapping[str, object], said: str
) -> None:
    with pytest.raises(ModelError, match=said):
        export(twin_with(architecture, tmp_path, keys=keys), tmp_path)


@pytest.mark.parametrize("layer", [4, -5])
def test_a_layer_that_there_is_not_is_refused(tmp_path: Path, layer: int) -> None:
    with pytest.raises(ModelError, match=f"layer is {layer}: the model has hidden states 0 to 3"):
        export(make_twin("bert", tmp_path), tmp_path, layer=layer)


@pytest.mark.parametrize("content", ["", "[]", "{", '"bert"'])
def test_what_is_no_config_is_refused(tmp_path: Path, content: str) -> None:
    twin = make_twin("bert", tmp_path)
    twin.config.write_text(content)
    with pytest.raises(ModelError, match=r"config\.json"):
        export(twin, tmp_path)


def test_weights_that_are_no_safetensors_are_refused(tmp_path: Path) -> None:
    twin = make_twin("bert", tmp_path)
    twin.weights.write_bytes(b"PK\x03\x04 a pickle, perhaps")
    with pytest.raises(ModelError, match="is no readable safetensors file"):
        export(twin, tmp_path)


def test_an_unknown_precision_is_refused(tmp_path: Path) -> None:
    precision: Any = "fp8"
    with pytest.raises(ModelError, match="'fp8': expected fp32 or int8"):
        export(make_twin("bert", tmp_path), tmp_path, precision)


def test_a_spec_of_another_layer_than_the_file_gives_is_refused(tmp_path: Path) -> None:
    twin = make_twin("bert", tmp_path)
    path = export(twin, tmp_path, layer=-2)
    assert opened(twin, path, layer=2).spec.layer == 2
    for layer in (-1, 1, 9, -9):
        with pytest.raises(ModelError, match=f"needs layer {layer}; its ONNX file has layer 2 of 3"):
            opened(twin, path, layer=layer)


# --- numbers --------------------------------------------------------------------------------------


@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    axis=st.sampled_from([0, 1]),
    seed=st.integers(0, 2**32 - 1),
    size=st.sampled_from([1e-6, 0.02, 1.0, 1e4]),
)
def test_int8_is_half_a_step_from_the_weight_at_most(
    shape: tuple[int, int], axis: int, seed: int, size: float
) -> None:
    matrix = np.random.default_rng(seed).normal(0, size, shape).astype(np.float32)
    small, scales = quantise(matrix, axis)
    assert (np.abs(small.astype(np.float32) * scales - matrix) <= scales * 0.5001).all()
    assert np.abs(small.astype(int)).max() <= 127


def test_zeros_stay_zero() -> None:
    small, scales = quantise(np.zeros((2, 3), np.float32), axis=1)
    assert not small.any()
    assert np.isfinite(scales).all()


def test_yarn_leaves_fast_turns_and_stretches_slow_ones() -> None:
    plain = rotation({"rope_type": "default", "rope_theta": 10_000}, 64)
    stretched = {"rope_type": "yarn", "rope_theta": 10_000, "factor": 4}
    yarn = rotation({**stretched, "original_max_position_embeddings": 4096}, 64)
    ratio = yarn.frequencies / plain.frequencies
    assert ratio[0] == pytest.approx(1)
    assert ratio[-1] == pytest.approx(1 / 4)
    assert (np.diff(ratio) <= 1e-6).all()
    assert plain.scale == 1
    assert yarn.scale == pytest.approx(0.1 * np.log(4) + 1)
