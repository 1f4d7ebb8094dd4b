"""The runtime "mlx": weights of every make, and what cannot be opened."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden import golden
from patina_mlx.config import read_config
from patina_mlx.core import mx
from patina_mlx.encoder import TransformerEncoder as Layers
from patina_mlx.rope import read_rope
from patina_mlx.runtime import MlxModel, open_model
from patina_mlx.tensors import Tensors, load_weight_files
from support.parity import encoder_of, likeness, spec_of, vectors_of
from support.stand_ins import PARTS, packed
from support.tiny_models import ARCHITECTURES, Architecture, Twin, make_twin

from patina_hooks.errors import ModelError
from patina_hooks.models.encoding import Encoder
from patina_hooks.models.tokenizer import open_tokenizer

Rewrite = Callable[[dict[str, mx.array]], dict[str, mx.array]]

EVERY = pytest.mark.parametrize("architecture", ARCHITECTURES)


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Twin]:
    return {name: make_twin(name, tmp_path_factory.mktemp(name)) for name in ARCHITECTURES}


def opened(twin: Twin, **changes: Any) -> Encoder:  # noqa: ANN401
    spec = spec_of(twin, "mlx", **changes)
    return encoder_of(spec, open_model(spec, twin.files))


# --- weights ------------------------------------------------------------------------------------


def rewritten(twin: Twin, folder: Path, change: Rewrite) -> Twin:
    """The twin with other tensors."""
    path = folder / "changed.safetensors"
    tensors = mx.load(str(twin.weights))
    assert isinstance(tensors, dict)
    mx.save_safetensors(str(path), change(tensors))
    return replace(twin, weights=path)


def configured(twin: Twin, folder: Path, **changes: object) -> Twin:
    """The twin with another config.json; what is None is left out."""
    raw = {**json.loads(twin.config.read_text()), **changes}
    path = folder / "changed.json"
    path.write_text(json.dumps({key: value for key, value in raw.items() if value is not None}))
    return replace(twin, config=path)


@EVERY
@pytest.mark.parametrize("dtype", [mx.bfloat16, mx.float16], ids=["bfloat16", "float16"])
def test_weights_of_half_the_size(
    architecture: Architecture, twins: Mapping[str, Twin], tmp_path: Path, dtype: mx.Dtype
) -> None:
    twin = rewritten(
        twins[architecture], tmp_path, lambda all_: {name: one.astype(dtype) for name, one in all_.items()}
    )
    expected = golden(twins[architecture])["mean"][-1]
    widened = vectors_of(opened(twin, pooling="mean"))
    assert likeness(widened, expected) > 0.98
    # A processor computes in float32.
    (tmp_path / "wide").mkdir()
    wide = rewritten(
        twin, tmp_path / "wide", lambda all_: {name: one.astype(mx.float32) for name, one in all_.items()}
    )
    assert np.array_equal(widened, vectors_of(opened(wide, pooling="mean")))
    config = read_config(twin.config)
    layers = Layers(config, Tensors(load_weight_files([twin.weights], architecture), config, None), -1)
    assert layers(mx.array([[1, 2]])).dtype == dtype
    halved = MlxModel("halved", layers, open_tokenizer(twin.tokenizer))
    assert likeness(vectors_of(encoder_of(spec_of(twin, "mlx", pooling="mean"), halved)), widened) > 0.98


def unpacked(tensors: Mapping[str, mx.array], bits: int) -> dict[str, mx.array]:
    found = dict(tensors)
    for stem in [name.removesuffix(".scales") for name in tensors if name.endswith(".scales")]:
        weight, scales, biases = (found.pop(f"{stem}.{kind}") for kind in PARTS)
        found[f"{stem}.weight"] = mx.dequantize(weight, scales, biases, group_size=32, bits=bits)
    return found


@EVERY
@pytest.mark.parametrize("bits", [4, 8])
def test_packed_weights(
    architecture: Architecture, twins: Mapping[str, Twin], tmp_path: Path, bits: int
) -> None:
    (tmp_path / "whole").mkdir()
    twin = rewritten(twins[architecture], tmp_path, lambda all_: packed(all_, 32, bits))
    twin = configured(twin, tmp_path, quantization={"group_size": 32, "bits": bits})
    whole = rewritten(twin, tmp_path / "whole", lambda all_: unpacked(all_, bits))
    assert sum(name.endswith(".scales") for name in load_weight_files([twin.weights], architecture)) > 9
    found = vectors_of(opened(twin, pooling="mean"))
    assert likeness(found, vectors_of(opened(whole, pooling="mean"))) > 0.99999
    near = likeness(found, golden(twins[architecture])["mean"][-1])
    assert (0.999 if bits == 8 else 0.85) < near < 0.99999


def test_a_matrix_may_be_packed_in_its_own_way_or_not_at_all(
    twins: Mapping[str, Twin], tmp_path: Path
) -> None:
    table, up = "embed_tokens", "layers.0.mlp.up_proj"

    def change(tensors: dict[str, mx.array]) -> dict[str, mx.array]:
        four, eight = packed(tensors, 32, 4), packed(tensors, 32, 8)
        own = {name: one for name, one in eight.items() if name.startswith(table)}
        plain = {name: one for name, one in four.items() if not name.startswith((table, up))}
        return {**plain, **own, f"{up}.weight": tensors[f"{up}.weight"]}

    twin = rewritten(twins["qwen3"], tmp_path, change)
    single = {f"model.{table}": {"group_size": 32, "bits": 8}, f"model.{up}": False, "mode": "affine"}
    twin = configured(twin, tmp_path, quantization={"group_size": 32, "bits": 4, **single})
    assert 0.6 < likeness(vectors_of(opened(twin)), golden(twins["qwen3"])["last"][-1]) < 0.9999


def test_weights_in_several_files(twins: Mapping[str, Twin], tmp_path: Path) -> None:
    tensors = load_weight_files([twins["olmo3"].weights], "olmo3")
    names = sorted(tensors)
    files = {**twins["olmo3"].files}
    for part, role in enumerate(("model", "model.2", "model.3")):
        files[role] = tmp_path / f"{part}.safetensors"
        mx.save_safetensors(str(files[role]), {name: tensors[name] for name in names[part::3]})
    spec = spec_of(twins["olmo3"], "mlx")
    found = vectors_of(encoder_of(spec, open_model(spec, files)))
    assert np.array_equal(found, vectors_of(opened(twins["olmo3"])))


# --- what cannot be opened ----------------------------------------------------------------------


@pytest.mark.parametrize("role", ["config", "model", "tokenizer"])
def test_a_model_without_one_of_its_files(twins: Mapping[str, Twin], role: str) -> None:
    files = {name: path for name, path in twins["bert"].files.items() if name != role}
    with pytest.raises(ModelError, match=f"has no file for the mlx runtime: {role}"):
        open_model(spec_of(twins["bert"], "mlx"), files)


@pytest.mark.parametrize(
    ("architecture", "changes", "said"),
    [
        (
            "bert",
            {"model_type": "roberta"},
            "know the architecture 'roberta', only bert, nomic_bert",
        ),
        ("bert", {"model_type": None}, "does not know the architecture None"),
        ("bert", {"hidden_size": None}, "not the config.json of a model: KeyError: 'hidden_size'"),
        ("bert", {"num_hidden_layers": "many"}, "not the config.json of a model: ValueError"),
        ("bert", {"hidden_act": "gelu_new"}, "does not know the activation 'gelu_new'"),
        ("bert", {"is_decoder": True}, "does not know bert with is_decoder True"),
        ("bert", {"max_position_embeddings": 40}, "is to take 48 tokens, but has 40 positions"),
        ("nomic_bert", {"prenorm": True}, "does not know nomic_bert with prenorm True"),
        ("nomic_bert", {"rotary_emb_fraction": 0.5}, "with rotary_emb_fraction 0.5"),
        ("qwen3", {"rope_scaling": {"type": "longrope"}}, "rotary positions of the type 'longrope'"),
        ("qwen3", {"layer_types": ["full_attention"]}, "layer_types does not name 3 layers"),
        ("qwen3", {"quantization": {"group_size": 32, "bits": 4, "mode": "mxfp4"}}, "packed as 'mxfp4'"),
        ("qwen3", {"quantization": {"bits": 4}}, "KeyError: 'group_size'"),
        ("qwen3", {"num_hidden_layers": 4}, r"hold no tensor layers\.3\."),
        ("qwen3", {"num_hidden_layers": 2}, r"have no place: layers\.2\..* and 8 more"),
        ("qwen3", {"head_dim": 16}, "weights do not fit its config.json"),
        ("olmo3", {"layer_types": ["full_attention", "sliding_attention", "chunked"]}, "layer_types"),
    ],
)
def test_a_config_that_cannot_be_followed(
    twins: Mapping[str, Twin],
    tmp_path: Path,
    architecture: Architecture,
    changes: Mapping[str, object],
    said: str,
) -> None:
    with pytest.raises(ModelError, match=said):
        opened(configured(twins[architecture], tmp_path, **changes))


@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_config_that_is_none(twins: Mapping[str, Twin], tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ModelError, match=r"config\.json"):
        opened(replace(twins["bert"], config=tmp_path / "config.json"))


@pytest.mark.parametrize("layer", [4, -5])
def test_a_layer_that_is_not_there(twins: Mapping[str, Twin], layer: int) -> None:
    with pytest.raises(ModelError, match=f"no hidden layer {layer}: the model has 4"):
        opened(twins["bert"], layer=layer)


DAMAGES: Mapping[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "an archive of pickles": lambda content: b"PK\x03\x04" + content,
    "a byte too short": lambda content: content[:-1],
    "half of it": lambda content: content[: len(content) // 2],
    "a byte too long": lambda content: content + b"\0",
    "a header without end": lambda content: (1 << 40).to_bytes(8, "little") + content[8:],
    "an unknown type": lambda content: content.replace(b'"F32"', b'"F99"', 1),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_weights_that_are_damaged(twins: Mapping[str, Twin], tmp_path: Path, damage: str) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(DAMAGES[damage](twins["bert"].weights.read_bytes()))
    with pytest.raises(ModelError, match=r"model\.safetensors holds no readable tensors"):
        opened(replace(twins["bert"], weights=path))


TENSORS: Mapping[str, tuple[Rewrite, str]] = {
    "one more": (lambda all_: {**all_, "adapter.weight": all_["norm.weight"]}, "no place: adapter.weight$"),
    "one less": (lambda all_: {k: v for k, v in all_.items() if k != "norm.weight"}, "no tensor norm.weight"),
    "too short": (lambda all_: {**all_, "norm.weight": all_["norm.weight"][:5]}, "do not fit its config"),
    "packed": (
        lambda all_: packed(all_, 32, 4),
        "embed_tokens has scales, but config.json does not describe",
    ),
}


@pytest.mark.parametrize("which", TENSORS)
def test_tensors_that_are_not_those_of_the_architecture(
    twins: Mapping[str, Twin], tmp_path: Path, which: str
) -> None:
    change, said = TENSORS[which]
    with pytest.raises(ModelError, match=said):
        opened(rewritten(twins["qwen3"], tmp_path, change))


def test_scales_without_a_packed_matrix(twins: Mapping[str, Twin], tmp_path: Path) -> None:
    twin = rewritten(
        twins["qwen3"], tmp_path, lambda all_: {**all_, "embed_tokens.scales": all_["embed_tokens.weight"]}
    )
    with pytest.raises(ModelError, match="embed_tokens has scales, but is not packed"):
        opened(configured(twin, tmp_path, quantization={"group_size": 32, "bits": 4}))


def test_an_id_that_the_weights_do_not_know(twins: Mapping[str, Twin]) -> None:
    model = opened(twins["olmo3"]).model
    with pytest.raises(ModelError, match="has the id 1000, but its weights have only 1000 ids"):
        model.forward(np.array([[1, 1000]]), np.array([[1, 1]]))


# --- rotary positions ---------------------------------------------------------------------------

ROPES = [
    ({}, [1, 0.31622776, 0.1, 0.031622779, 0.01, 0.0031622778, 0.001, 0.00031622778], 1.0),
    (
        {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 8192},
        [1, 0.31622776, 0.1, 0.031622779, 0.0078125, 0.0017787813, 0.00034375, 3.9528473e-05],
        1.2079441541679836,
    ),
    (
        {"rope_type": "yarn", "original_max_position_embeddings": 64, "attention_factor": 1.5}
        | {"truncate": False, "beta_fast": 4},
        [1, 0.27917453, 0.025996597, 0.0079056947, 0.0025, 0.00079056947, 0.00025, 7.9056947e-05],
        1.5,
    ),
    (
        {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}
        | {"mscale": 0.707, "mscale_all_dim": 1.0},
        [1, 0.19764236, 0.025, 0.0079056947, 0.0025, 0.00079056947, 0.00025, 7.9056947e-05],
        0.964326914892074,
    ),
    (
        {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 20_000},
        [1, 0.31622776, 0.1, 0.031622779, 0.0085, 0.0022135945, 0.00055, 0.00012649111],
        1.138629436111989,
    ),
    (
        {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 20_000, "beta_slow": 2},
        [1, 0.31622776, 0.1, 0.031622779, 0.008125, 0.0019764237, 0.0004375, 7.9056947e-05],
        1.138629436111989,
    ),
]
"""What ROPE_INIT_FUNCTIONS of transformers 5.23 give for heads of 16 values."""


@pytest.mark.parametrize(("given", "frequencies", "strength"), ROPES)
@pytest.mark.parametrize("key", ["rope_parameters", "rope_scaling"])
def test_rotations_are_those_of_transformers(
    key: str, given: Mapping[str, object], frequencies: Sequence[float], strength: float
) -> None:
    facts = {"model_type": "qwen3", "rope_theta": 10_000, "max_position_embeddings": 256, key: given}
    rope = read_rope(facts, "full_attention", 16)
    assert [1 / period for period in rope.periods] == pytest.approx(frequencies, rel=1e-5)
    assert rope.strength == pytest.approx(strength)


def test_olmo_stretches_its_full_attention_alone_and_others_all() -> None:
    yarn = {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 8192}
    facts = {"rope_theta": 10_000, "max_position_embeddings": 65_536, "rope_scaling": yarn}
    kinds = ("full_attention", "sliding_attention")
    olmo, qwen = (
        [read_rope({**facts, "model_type": name}, kind, 16).strength for kind in kinds]
        for name in ("olmo3", "qwen3")
    )
    assert olmo == [pytest.approx(1.2079441541679836), 1.0]
    assert qwen == [pytest.approx(1.2079441541679836)] * 2


def test_every_fourth_layer_of_olmo_sees_everything_where_nothing_else_is_said(
    twins: Mapping[str, Twin], tmp_path: Path
) -> None:
    config = read_config(configured(twins["olmo3"], tmp_path, layer_types=None, num_hidden_layers=8).config)
    assert config.windows == (8, 8, 8, None) * 2


@pytest.mark.parametrize("length", [8, 9, 10])
def test_what_comes_later_changes_no_token_of_a_decoder(twins: Mapping[str, Twin], length: int) -> None:
    # A window of eight tokens is just not, just and surely exceeded.
    model = opened(twins["olmo3"]).model
    ids = np.arange(20, 40)[None]
    longer = model.forward(ids, np.ones_like(ids))[0, :length]
    alone = model.forward(ids[:, :length], np.ones((1, length), np.int64))[0]
    np.testing.assert_allclose(alone, longer, atol=1e-5)


# --- the library below --------------------------------------------------------------------------

RECORDING = """
import ctypes, sys
sys.platform = "linux"
asked = []
class Library:
    def __init__(self, name, mode=0):
        if {absent}:
            raise OSError(name)
        asked.append((name, mode == ctypes.RTLD_GLOBAL, "mlx.core" in sys.modules))
    def openblas_set_num_threads(self, count):
        asked.append(count)
ctypes.CDLL = Library
from patina_mlx.core import mx
print(asked, mx.ones(2).sum().item())
"""


@pytest.mark.parametrize("absent", [False, True])
def test_openblas_is_loaded_first_where_it_is_there_and_gets_one_thread(absent: bool) -> None:
    code = RECORDING.format(absent=absent)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    asked = [] if absent else [("libopenblas.so.0", True, False), 1]
    assert done.stdout.strip() == f"{asked} 2.0"


def test_nothing_of_it_is_imported_before_it_is_chosen() -> None:
    code = "import sys, patina_mlx; print(*sorted({'mlx', 'numpy', 'safetensors'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
