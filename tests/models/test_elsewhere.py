"""Runtimes that pool where they run: what remains the core's, and when they are taken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from patina_hooks import ModelSpec, RuntimeSpec, TextModel, Tokens, hookimpl
from patina_hooks.config.recipe import Reading
from patina_hooks.errors import ModelError, SettingsError
from patina_hooks.models.choice import (
    choose_runtime,
    is_eligible,
    list_runtime_options,
    remote_runtimes,
    runtime_for,
)
from patina_hooks.models.encoding import open_encoder
from patina_hooks.plugins.manager import Plugins
from patina_hooks.specs.models import ModelFiles

if TYPE_CHECKING:
    from patina_hooks.specs.vectors import Vectors

SPEC = ModelSpec(
    "acme",
    dimensions=4,
    runtimes={},
    passage_prefix="passage: ",
    matryoshka=(2,),
    matryoshka_norm="layer",
)
asked: list[tuple[str, ...]] = []


class Lengths:
    """Vectors of the numbers of a text's last letters."""

    def __init__(self, dimensions: int) -> None:
        self.dimensions = dimensions

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        asked.append(tuple(texts))
        rows = [[ord(letter) for letter in text.rjust(9)[-self.dimensions :]] for text in texts]
        return np.asarray(rows, dtype=np.float32)


class Nothing:
    """A model of tokens."""

    def tokenize(self, texts: Sequence[str], max_tokens: int) -> list[Tokens]:
        return [Tokens(()) for _ in texts]

    def forward(self, ids: object, mask: object) -> object:
        raise NotImplementedError


def open_lengths(model: ModelSpec, files: ModelFiles) -> Lengths:
    assert files == {}
    return Lengths(model.dimensions)


def open_wide(model: ModelSpec, files: ModelFiles) -> Lengths:
    return Lengths(model.dimensions + 1)


def open_nothing(model: ModelSpec, files: ModelFiles) -> Nothing:
    return Nothing()


def of_a_model(model: ModelSpec) -> str:
    return "of my own"


def unsettled(model: ModelSpec) -> str:
    raise SettingsError("config.toml is odd", hint="mend it")


def broken(model: ModelSpec) -> str:
    raise LookupError("a mistake")


def provided(opener: Callable[..., object] = open_lengths, variant: str = "of_a_model") -> Plugins:
    spec = RuntimeSpec(
        "away", f"{__name__}:{opener.__name__}", variant=f"{__name__}:{variant}", output="text_vectors"
    )
    plugins = Plugins.load(disabled={"*"})
    hooks = SimpleNamespace(
        patina_register_runtimes=hookimpl(lambda: [spec]), patina_register_models=hookimpl(lambda: [SPEC])
    )
    plugins.register(hooks, "acme")
    return plugins


def test_prefix_norm_order_and_empty_texts_are_the_cores() -> None:
    asked.clear()
    encoder = open_encoder(provided(), "acme", "away")
    assert isinstance(encoder.opened, TextModel)
    encoded = encoder.encode(["bcde", " abcd\0", "bcde"], role="passage")
    assert asked == [("passage: bcde", "passage: abcd")]
    expected = np.asarray([[98, 99, 100, 101], [97, 98, 99, 100], [98, 99, 100, 101]], dtype=np.float32)
    assert np.allclose(encoded.vectors, expected / np.linalg.norm(expected, axis=1, keepdims=True))
    assert encoded.cut == (0, 0, 0)
    assert not encoder.encode(["", " \n"], role="query").vectors.any()
    assert encoder.encode([], role="query").vectors.shape == (0, 4)
    assert len(asked) == 1


def test_a_shorter_vector_is_cut_off_here() -> None:
    encoder = open_encoder(provided(), "acme", "away", reading=Reading(truncate=2))
    (vector,) = encoder.encode(["aaab"], role="query").vectors
    assert np.allclose(vector, [-(0.5**0.5), -(0.5**0.5)])  # the layer norm of all four, its first two


def test_vectors_of_another_length_are_refused() -> None:
    encoder = open_encoder(provided(open_wide), "acme", "away")
    with pytest.raises(ModelError, match=r"gave vectors \(1, 5\), not \(1, 4\)"):
        encoder.encode(["abcd"], role="query")


def test_what_is_opened_gives_what_the_spec_says() -> None:
    with pytest.raises(ModelError, match="away makes token_vectors instead of text_vectors"):
        open_encoder(provided(open_nothing), "acme", "away")
    with pytest.raises(ValueError, match="output must be token_vectors or text_vectors, not 'rows'"):
        RuntimeSpec("away", "a:b", output="rows")  # type: ignore[arg-type]


@pytest.mark.parametrize("runtime", ["away", "acme/away"])
def test_it_is_taken_where_it_is_named(runtime: str) -> None:
    plugins = provided()
    encoder = open_encoder(plugins, "acme", runtime)
    assert (encoder.runtime, encoder.variant) == (runtime, "of my own")
    assert encoder.fingerprint == open_encoder(plugins, "acme", "away").fingerprint
    assert not encoder.spec.batch_invariant


def test_auto_never_takes_it() -> None:
    plugins = provided()
    assert remote_runtimes(plugins) == {"away"}
    with pytest.raises(ModelError, match="no runtime can run model acme here"):
        choose_runtime(SPEC, {"away": ()}, "linux")
    with pytest.raises(ModelError, match="no runtime can run model acme here") as caught:
        runtime_for(plugins, SPEC)
    assert caught.value.hint == "write in the recipe: runtime: away"
    (one,) = list_runtime_options(SPEC, {"away": ()}, "linux", remote={"away"})
    assert one.usable
    assert not is_eligible(one)
    assert is_eligible(one, "away")
    assert one.reason == "opens no files of a model and runs any, where a recipe names it: runtime: away"
    (one,) = list_runtime_options(SPEC, {"away": ("acme_engine",)}, "linux", remote={"away"})
    assert (one.usable, one.remedy) == (False, "pip install acme_engine")


def test_it_is_the_only_kind_that_needs_no_files() -> None:
    with pytest.raises(ModelError, match="no files for the runtime onnx"):
        runtime_for(Plugins.load(disabled=()), SPEC, "onnx")


@pytest.mark.parametrize(("variant", "what"), [("unsettled", "config.toml is odd"), ("broken", "a mistake")])
def test_what_goes_wrong_in_its_variant_is_the_models_fault(variant: str, what: str) -> None:
    with pytest.raises(ModelError, match=f"the runtime away cannot be used: {what}"):
        runtime_for(provided(variant=variant), SPEC, "away")
