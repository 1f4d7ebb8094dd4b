"""Every model of every plugin, in every runtime that it lists, on files that stand in for its own.

It opens, holds the contract with its own rules (prefixes, task, pooling, layer, lengths), and a text has the
same vector whichever runtime reads it. What takes PyTorch runs in `make test-torch`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.parity import likeness
from support.stand_ins import SPECS, provided, stand_in
from support.tiny_models import TEXTS

from patina_hooks.config.recipe import Reading
from patina_hooks.models.encoding import Encoder, open_encoder
from patina_hooks.models.reading import prefix_of
from patina_hooks.models.tokenizer import open_tokenizer
from patina_hooks.specs.models import LocalFile, ModelSpec, Role
from patina_hooks.testing import CHECKS, run_contract

if TYPE_CHECKING:
    from _pytest.mark.structures import ParameterSet

    from patina_hooks.specs.vectors import Vectors

ROLES: tuple[Role, ...] = ("query", "passage")
TEXT = "why are vectors kept in a file of their own?"
SAME = 0.9999
ALIKE = {"onnx/fp16": SAME, "onnx/int8": 0.99, "mlx/4bit": 0.9}
"""How like files of another precision are to the whole ones."""

StandIn = Callable[[str], ModelSpec]
VectorsOf = Callable[[str, str], "Vectors"]


def with_torch_marked(cases: Iterable[tuple[str, ...]]) -> list[ParameterSet]:
    return [
        pytest.param(*case, marks=[pytest.mark.torch] if "torch" in case else [], id="-".join(case))
        for case in cases
    ]


EVERY = pytest.mark.parametrize("name", SPECS)


@pytest.fixture(scope="session")
def standing(tmp_path_factory: pytest.TempPathFactory) -> StandIn:
    """A model by name, with files that are written once."""
    return cache(lambda name: stand_in(name, tmp_path_factory.mktemp(name)))


@pytest.fixture(scope="session")
def vectors_of(standing: StandIn) -> VectorsOf:
    """`TEXTS` as passages, then as queries, by a model in a runtime."""

    @cache
    def made(name: str, runtime: str) -> Vectors:
        encoder = open_encoder(provided(standing(name)), name, runtime)
        assert encoder.runtime == runtime
        return np.concatenate([encoder.encode(TEXTS, role=role).vectors for role in ROLES])

    return made


def opened(spec: ModelSpec, reading: Reading | None = None) -> Encoder:
    return open_encoder(provided(spec), spec.name, "mlx", reading=reading)


def vector(encoder: Encoder, text: str, role: Role = "passage") -> Vectors:
    vectors: Vectors = encoder.encode([text], role=role).vectors[0]
    return vectors


# --- in every runtime -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "runtime"),
    with_torch_marked((name, runtime) for name, spec in SPECS.items() for runtime in spec.runtimes),
)
def test_the_contract_holds(name: str, runtime: str, standing: StandIn) -> None:
    results = run_contract(provided(standing(name)), name, runtime)
    assert {one.name: one.detail for one in results if not one.passed} == {}
    assert [one.name for one in results] == list(CHECKS)


@pytest.mark.parametrize(
    ("name", "one", "other"),
    with_torch_marked(
        (name, *pair) for name, spec in SPECS.items() for pair in combinations(sorted(spec.runtimes), 2)
    ),
)
def test_a_text_has_the_same_vector_in_every_two(
    name: str, one: str, other: str, vectors_of: VectorsOf
) -> None:
    least = min(ALIKE.get(runtime, SAME) for runtime in (one, other))
    assert likeness(vectors_of(name, one), vectors_of(name, other)) > least


# --- by its own rules -------------------------------------------------------------------------------


@EVERY
def test_each_role_is_told_apart_by_its_prefix_alone(name: str, standing: StandIn) -> None:
    spec = standing(name)
    encoder, bare = opened(spec), opened(replace(spec, query_prefix="", passage_prefix=""))
    for role in ROLES:
        prefix = prefix_of(spec, role)
        found = vector(encoder, TEXT, role)
        np.testing.assert_allclose(found, vector(bare, prefix + TEXT, role), atol=1e-5)
        if prefix:
            assert found @ vector(bare, TEXT) < 0.99


@EVERY
def test_another_pooling_or_layer_is_another_vector(name: str, standing: StandIn) -> None:
    spec = standing(name)
    found = vector(opened(spec), TEXT)
    for pooling in {"mean", "cls", "last"} - {spec.pooling}:
        other = vector(opened(replace(spec, pooling=pooling)), TEXT)  # type: ignore[arg-type]
        assert found @ other < 0.99, f"{pooling} is no other vector"
    for layer in (1, spec.layer - 1):
        assert found @ vector(opened(spec, Reading(extraction_layer=layer)), TEXT) < 0.99


def test_a_recipe_tells_qwen_its_task(standing: StandIn) -> None:
    spec = standing("qwen3-embedding-0.6b")
    told = opened(spec, Reading(instruction="Find the decision"))
    bare = opened(replace(spec, query_prefix=""))
    expected = vector(bare, f"Instruct: Find the decision\nQuery:{TEXT}", "query")
    np.testing.assert_allclose(vector(told, TEXT, "query"), expected, atol=1e-5)
    assert vector(told, TEXT, "query") @ vector(opened(spec), TEXT, "query") < 0.99
    np.testing.assert_allclose(vector(told, TEXT), vector(opened(spec), TEXT), atol=1e-6)


def test_qwen_is_pooled_at_the_token_that_its_tokenizer_ends_with(standing: StandIn) -> None:
    spec = standing("qwen3-embedding-0.6b")
    file = spec.runtimes["mlx"]["tokenizer"]
    assert isinstance(file, LocalFile)
    tokens = open_tokenizer(file.path).tokenize(["a", "a b", "commit " * 200], spec.max_tokens)
    assert len({one.ids[-1] for one in tokens}) == 1


@pytest.mark.parametrize("name", [name for name, spec in SPECS.items() if spec.matryoshka])
def test_a_cut_vector_is_made_as_the_authors_do(name: str, standing: StandIn) -> None:
    spec = standing(name)
    whole = vector(opened(spec), TEXT)
    for length in (spec.matryoshka[0], spec.matryoshka[-1]):
        cut = vector(opened(spec, Reading(truncate=length)), TEXT)
        expected = (whole - whole.mean() if "nomic" in name else whole)[:length]
        np.testing.assert_allclose(cut, expected / np.linalg.norm(expected), atol=1e-4)
