"""The runtime "mlx" on the twins, against what transformers makes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from golden import POOLINGS, golden
from hypothesis import given, settings
from hypothesis import strategies as st
from patina_mlx.runtime import MlxModel, open_model
from support.distributions import Site, importable
from support.parity import encoder_of, likeness, spec_of, vectors_of
from support.tiny_models import ARCHITECTURES, TEXTS, Architecture, Twin, make_twin

from patina_hooks.models.encoding import Encoder
from patina_hooks.plugins.manager import Plugins
from patina_hooks.specs.models import Pooling, Tokens
from patina_hooks.testing import CHECKS, run_contract

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from patina_hooks.specs.vectors import Vectors

Mutation = Callable[[Encoder], Encoder]

EVERY = pytest.mark.parametrize("architecture", ARCHITECTURES)


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Twin]:
    return {name: make_twin(name, tmp_path_factory.mktemp(name)) for name in ARCHITECTURES}


def opened(twin: Twin, **changes: Any) -> Encoder:  # noqa: ANN401
    spec = spec_of(twin, "mlx", **changes)
    return encoder_of(spec, open_model(spec, twin.files))


# --- sameness -----------------------------------------------------------------------------------


@EVERY
@pytest.mark.parametrize("saved", [False, True], ids=["as published", "as saved by transformers"])
def test_vectors_are_those_of_transformers(architecture: Architecture, saved: bool, tmp_path: Path) -> None:
    twin = make_twin(architecture, tmp_path, as_saved_by_transformers=saved)
    assert likeness(vectors_of(opened(twin, pooling="mean")), golden(twin)["mean"][-1]) > 0.999999


@EVERY
@pytest.mark.parametrize("layer", [-4, -2, -1, 0, 1, 3])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_every_pooling_of_every_layer(
    architecture: Architecture, twins: Mapping[str, Twin], pooling: Pooling, layer: int
) -> None:
    twin = twins[architecture]
    found = vectors_of(opened(twin, pooling=pooling, layer=layer))
    assert likeness(found, golden(twin)[pooling][layer]) > 0.999999


class NoSpecialTokens(MlxModel):
    def tokenize(self, texts: Sequence[str], max_tokens: int) -> list[Tokens]:
        special = set(super().tokenize([""], max_tokens)[0].ids)
        return [
            Tokens([one for one in tokens.ids if one not in special] or [1], tokens.cut)
            for tokens in super().tokenize(texts, max_tokens)
        ]


class IgnoresMask(MlxModel):
    def forward(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> Vectors:
        return super().forward(ids, np.ones_like(mask))


def without_prefix(encoder: Encoder) -> Encoder:
    return encoder_of(replace(encoder.spec, query_prefix=""), encoder.model)


def as_class(kind: type[MlxModel]) -> Mutation:
    def change(encoder: Encoder) -> Encoder:
        model = encoder.model
        assert isinstance(model, MlxModel)
        return encoder_of(encoder.spec, kind(model._name, model._encoder, model._tokenizer))

    return change


@pytest.mark.parametrize(
    ("architecture", "pooling", "change"),
    [
        *((name, "mean", without_prefix) for name in ARCHITECTURES),
        *((name, "last", without_prefix) for name in ("bert", "nomic_bert", "qwen3")),
        *((name, "cls", as_class(NoSpecialTokens)) for name in ("bert", "nomic_bert")),
        ("qwen3", "last", as_class(NoSpecialTokens)),
        # A decoder's tokens do not see what comes after them.
        *((name, "cls", as_class(IgnoresMask)) for name in ("bert", "nomic_bert")),
    ],
)
def test_a_mutant_is_caught(
    architecture: Architecture,
    twins: Mapping[str, Twin],
    pooling: Pooling,
    change: Mutation,
) -> None:
    whole = opened(twins[architecture], pooling=pooling)
    expected = golden(twins[architecture])[pooling][-1]
    assert likeness(vectors_of(whole), expected) > 0.999999
    assert likeness(vectors_of(change(whole)), expected) < 0.9


@EVERY
def test_another_pooling_or_layer_is_caught(architecture: Architecture, twins: Mapping[str, Twin]) -> None:
    expected = golden(twins[architecture])
    for pooling in POOLINGS:
        found = vectors_of(opened(twins[architecture], pooling=pooling))
        for other in POOLINGS:
            for layer in range(4):
                if (other, layer) != (pooling, 3):
                    assert likeness(found, expected[other][layer]) < 0.9


@EVERY
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_a_vector_is_the_same_bit_for_bit_in_any_batch_and_order(
    architecture: Architecture, twins: Mapping[str, Twin], data: st.DataObject
) -> None:
    encoder = opened(twins[architecture])
    texts = data.draw(st.lists(st.sampled_from(TEXTS), min_size=1, max_size=20))
    alone = {text: encoder.encode([text], role="passage").vectors[0] for text in dict.fromkeys(texts)}
    together = encoder.encode(texts, role="passage").vectors
    assert np.array_equal(together, np.stack([alone[text] for text in texts]))


@EVERY
def test_padding_is_zeros_and_changes_nothing(architecture: Architecture, twins: Mapping[str, Twin]) -> None:
    model = opened(twins[architecture]).model
    ids = np.array([[5, 6, 7, 0, 0], [9, 8, 7, 6, 5]])
    mask = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
    hidden = model.forward(ids, mask)
    assert hidden.dtype == np.float32
    assert hidden.shape == (2, 5, 32)
    assert np.array_equal(hidden[0, :3], model.forward(ids[:1, :3], mask[:1, :3])[0])
    assert not hidden[0, 3:].any()


# --- the contract -------------------------------------------------------------------------------

PLUGIN = """
from patina_hooks import ModelSpec, PackageFile, hookimpl


def files(architecture):
    names = {"model": "model.safetensors", "config": "config.json", "tokenizer": "tokenizer.json"}
    return {role: PackageFile("twins", f"twins_data/{architecture}/{name}") for role, name in names.items()}


@hookimpl
def patina_register_models():
    for architecture in ("bert", "nomic_bert", "qwen3", "olmo3"):
        yield ModelSpec(
            f"twin-{architecture}", dimensions=32, runtimes={"mlx": files(architecture)}, max_tokens=48,
            pooling="last" if architecture == "qwen3" else "mean", query_prefix="query: ",
        )
"""


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plugins]:
    folder = tmp_path_factory.mktemp("site")
    Site(folder).add("twins", files={"twin_plugin.py": PLUGIN}, entry_points={"twins": "twin_plugin"})
    for name in ARCHITECTURES:
        make_twin(name, folder / "twins_data" / name)
    with importable(folder):
        yield Plugins.load()


@EVERY
def test_the_contract(architecture: Architecture, plugins: Plugins) -> None:
    results = run_contract(plugins, f"twin-{architecture}", "mlx")
    assert [result.name for result in results] == list(CHECKS)
    assert [f"{result.name}: {result.detail}" for result in results if not result.passed] == []
