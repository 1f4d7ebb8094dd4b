from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patina_hooks.errors import ModelError, PluginError, SettingsError
from patina_hooks.models.choice import RuntimeChoice
from patina_hooks.models.encoding import (
    Encoder,
    batch_by_length,
    clean_text,
    compute_fingerprint,
    normalise_rows,
    open_encoder,
    pool_tokens,
    resolve_model,
)
from patina_hooks.plugins.hookspecs import hookimpl
from patina_hooks.plugins.manager import Plugins
from patina_hooks.specs.models import ModelSpec, Pooling, Role, RuntimeSpec, Tokens

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from patina_hooks.specs.vectors import Vectors

DIMENSIONS = 4
SPEC = ModelSpec("words", dimensions=DIMENSIONS, runtimes={}, max_tokens=6, query_prefix="q ")


class WordModel:
    """A whole model small enough to know by heart: a word is a token, a token's vector is drawn by its id."""

    def __init__(self) -> None:
        self.words: dict[str, int] = {}
        self.shapes: list[tuple[int, ...]] = []

    def tokenize(self, texts: Sequence[str], max_tokens: int) -> list[Tokens]:
        ids = [[self.words.setdefault(word, len(self.words) + 1) for word in text.split()] for text in texts]
        return [Tokens(one[:max_tokens], max(0, len(one) - max_tokens)) for one in ids]

    def forward(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> Vectors:
        self.shapes.append(ids.shape)
        assert ((ids != 0) == (mask == 1)).all()
        assert (np.sort(mask, axis=1)[:, ::-1] == mask).all(), "padding is on the right"
        return np.stack([[self.vector(token) for token in row] for row in ids.tolist()])

    def vector(self, token: int) -> Vectors:
        # Padding gets vectors too, so that what pools it is found out.
        return np.random.default_rng(token).standard_normal(DIMENSIONS).astype(np.float32)


def encoder(spec: ModelSpec = SPEC) -> tuple[Encoder, WordModel]:
    model = WordModel()
    return Encoder(spec, RuntimeChoice("words", "for tests"), "f" * 32, model), model


def unit(vector: Vectors) -> Vectors:
    return vector / np.linalg.norm(vector)


words = st.lists(st.sampled_from(["alpha", "beta", "gamma", "delta"]), max_size=9).map(" ".join)


# --- encoding -----------------------------------------------------------------------------------


@settings(deadline=None)
@given(texts=st.lists(words, max_size=12), pooling=st.sampled_from(["mean", "cls", "last"]))
def test_a_vector_is_the_pooled_unit_vector_of_its_own_tokens(texts: list[str], pooling: Pooling) -> None:
    subject, model = encoder(replace(SPEC, pooling=pooling, query_prefix=""))
    encoded = subject.encode(texts, role="query")
    assert encoded.vectors.shape == (len(texts), DIMENSIONS)
    assert encoded.vectors.dtype == np.float32
    for text, found, cut in zip(texts, encoded.vectors, encoded.cut, strict=True):
        tokens = [model.vector(model.words[word]) for word in text.split()[: SPEC.max_tokens]]
        assert cut == max(0, len(text.split()) - SPEC.max_tokens)
        if not tokens:
            assert not found.any()
            continue
        pooled = {"mean": np.mean(tokens, axis=0), "cls": tokens[0], "last": tokens[-1]}[pooling]
        np.testing.assert_allclose(found, unit(pooled), atol=1e-6)


def test_the_prefix_of_the_role_stands_before_the_text() -> None:
    prefixed = replace(SPEC, query_prefix="ask ", passage_prefix="tell ")
    roles: tuple[tuple[Role, str], ...] = (("query", "ask alpha"), ("passage", "tell alpha"))
    for role, text in roles:
        subject, model = encoder(prefixed)
        bare = Encoder(replace(SPEC, query_prefix=""), RuntimeChoice("words", ""), "f" * 32, model)
        found = subject.encode(["alpha"], role=role).vectors
        assert list(model.words) == text.split()
        assert np.array_equal(found, bare.encode([text], role="query").vectors)


def test_equal_texts_are_run_once() -> None:
    subject, model = encoder()
    encoded = subject.encode(["alpha", " alpha\n", "alpha"], role="query")
    assert model.shapes == [(1, 2)]
    assert (encoded.vectors == encoded.vectors[0]).all()


def test_a_model_that_is_not_batch_invariant_gets_one_unpadded_text_at_a_time() -> None:
    subject, model = encoder(replace(SPEC, batch_invariant=False))
    subject.encode(["alpha", "beta", "alpha beta"], role="passage")
    assert model.shapes == [(1, 1), (1, 1), (1, 2)]


def test_no_texts_run_nothing() -> None:
    subject, model = encoder()
    encoded = subject.encode([], role="query")
    assert encoded.vectors.shape == (0, DIMENSIONS)
    assert encoded.cut == ()
    assert model.shapes == []


def test_a_model_of_other_dimensions_than_it_says_is_an_error() -> None:
    subject, _ = encoder(replace(SPEC, dimensions=DIMENSIONS + 1))
    with pytest.raises(ModelError, match=r"gave token vectors \(1, 2, 4\), not \(1, 2, 5\)"):
        subject.encode(["alpha"], role="query")


# --- its parts ----------------------------------------------------------------------------------


@given(lengths=st.lists(st.integers(0, 40), max_size=60), most=st.integers(0, 100))
def test_runs_hold_every_text_with_tokens_once_within_the_cap(lengths: list[int], most: int) -> None:
    found = list(batch_by_length(lengths, most))
    assert sorted(place for run in found for place in run) == [
        i for i, length in enumerate(lengths) if length
    ]
    for run in found:
        assert len(run) == 1 or len(run) * max(lengths[place] for place in run) <= most
    flat = [lengths[place] for run in found for place in run]
    assert flat == sorted(flat)


def test_runs_are_filled() -> None:
    assert [len(run) for run in batch_by_length([16] * 70, 512)] == [32, 32, 6]


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("  two  words\n", "two  words"),
        ("a\0b", "a b"),
        ("\0", ""),
        ("\ud800x", "\ufffdx"),
        ("x\udc00\ud83d", "x\ufffd\ufffd"),
        ("🙂 日本", "🙂 日本"),
        ("\ud83d\ude42", "🙂"),
        ("", ""),
    ],
)
def test_the_text_rules(raw: str, cleaned: str) -> None:
    assert clean_text(raw) == cleaned


@given(st.text(st.characters(), max_size=50))
def test_a_cleaned_text_can_be_written_and_stays(text: str) -> None:
    clean_text(text).encode("utf-8")
    assert clean_text(clean_text(text)) == clean_text(text)


def test_pooling_heeds_the_true_length_alone() -> None:
    hidden = np.arange(24, dtype=np.float32).reshape(2, 4, 3)
    assert pool_tokens(hidden, [2, 4], "mean").tolist() == [[1.5, 2.5, 3.5], [16.5, 17.5, 18.5]]
    assert pool_tokens(hidden, [2, 4], "cls").tolist() == [[0, 1, 2], [12, 13, 14]]
    assert pool_tokens(hidden, [2, 4], "last").tolist() == [[3, 4, 5], [21, 22, 23]]


def test_a_zero_vector_stays_zero_and_what_is_not_finite_is_an_error() -> None:
    vectors = np.array([[3, 4], [0, 0], [1e-30, 0]], dtype=np.float32)
    expected = np.array([[0.6, 0.8], [0, 0], [1, 0]], dtype=np.float32)
    np.testing.assert_allclose(normalise_rows(vectors, "m"), expected, atol=1e-7)
    for bad in (np.nan, np.inf):
        with pytest.raises(ModelError, match="model m gave values that are not finite"):
            normalise_rows(np.array([[1, bad]], dtype=np.float32), "m")


# --- opening ------------------------------------------------------------------------------------


def open_words(spec: ModelSpec, files: object) -> WordModel:
    if spec.revision == "broken":
        raise RuntimeError("bad weights")
    if spec.revision == "refused":
        raise ModelError("refused", hint="mend it")
    return WordModel()


def provided(opener: str = f"{__name__}:open_words", revision: str = "") -> Plugins:
    spec = replace(SPEC, runtimes={"words": {}}, revision=revision)
    plugin = SimpleNamespace(
        patina_register_models=hookimpl(lambda: [spec]),
        patina_register_runtimes=hookimpl(lambda: [RuntimeSpec("words", opener)]),
    )
    plugins = Plugins()
    plugins.register(plugin, "acme")
    return plugins


def test_opening_by_name_says_what_was_opened_and_why() -> None:
    opened = open_encoder(provided(), "words")
    assert (opened.spec.name, opened.runtime, opened.dimensions) == ("words", "words", DIMENSIONS)
    assert "can run here" in opened.reason
    assert opened.fingerprint == compute_fingerprint(*resolve_model(provided(), "acme/words"))


def open_odd(spec: ModelSpec, files: object) -> object:
    return SimpleNamespace(**ODD)


ODD: dict[str, object] = {}
TOKENS = [Tokens((1, 2))]


@pytest.mark.parametrize(
    ("tokenize", "forward", "said"),
    [
        (lambda *_: None, None, "TypeError"),
        (lambda *_: [], None, "tokenize gave no Tokens for each of 1 texts"),
        (lambda *_: TOKENS, lambda *_: None, "forward gave a value of type NoneType"),
        (lambda *_: TOKENS, lambda *_: np.array(["a"]), "forward gave a value of type ndarray"),
        (lambda *_: TOKENS, lambda *_: sys.exit(3), "SystemExit: 3"),
        (lambda *_: TOKENS, lambda *_: np.full((1, 2, DIMENSIONS), np.nan), "not finite"),
    ],
)
def test_encoding_is_a_model_error_when_a_runtime_gives_odd_values(
    monkeypatch: pytest.MonkeyPatch, tokenize: object, forward: object, said: str
) -> None:
    monkeypatch.setitem(ODD, "tokenize", tokenize)
    monkeypatch.setitem(ODD, "forward", forward or tokenize)
    encoder = open_encoder(provided(f"{__name__}:open_odd"), "words")
    with pytest.raises(ModelError, match=said):
        encoder.encode(["a text"], role="query")


def test_opening_is_a_model_error_when_a_runtime_opens_no_model() -> None:
    with pytest.raises(ModelError, match="it gave a value of type SimpleNamespace"):
        open_encoder(provided(f"{__name__}:open_odd"), "words")


def test_the_fingerprint_needs_no_opening() -> None:
    assert len(compute_fingerprint(*resolve_model(provided(revision="broken"), "words"))) == 32


def test_what_a_runtime_raises_is_said_with_model_and_runtime() -> None:
    said = "the runtime words cannot open model words: RuntimeError: bad weights"
    with pytest.raises(ModelError, match=said):
        open_encoder(provided(revision="broken"), "words")
    with pytest.raises(ModelError, match=r"^refused$") as caught:
        open_encoder(provided(revision="refused"), "words")
    assert caught.value.hint == "mend it"


def test_a_runtime_whose_code_is_absent_says_so() -> None:
    with pytest.raises(PluginError, match="cannot open no_such_module_here:run"):
        open_encoder(provided("no_such_module_here:run"), "words")


def test_batches_side_by_side_give_what_one_after_the_other_gives() -> None:
    texts = [" ".join("word" for _ in range(1 + number % 6)) + f" {number}" for number in range(600)]
    one, four = (
        Encoder(replace(SPEC, max_tokens=64), RuntimeChoice("words", ""), "f", WordModel(), workers=workers)
        for workers in (1, 4)
    )
    expected, found = (each.encode(texts, role="passage") for each in (one, four))
    assert np.array_equal(expected.vectors, found.vectors)
    assert expected.cut == found.cut


class Engine(WordModel):
    """What goes wrong in an engine's own code, where it is asked for."""

    def __init__(self, where: str, error: Exception) -> None:
        super().__init__()
        setattr(self, where, self.fail)
        self.error = error

    def fail(self, *_: object) -> None:
        raise self.error


class Server:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        raise self.error


@pytest.mark.parametrize("where", ["tokenize", "forward", "embed_texts"])
@pytest.mark.parametrize(
    ("error", "said", "hint"),
    [
        (RuntimeError("CUDA out of memory"), "RuntimeError: CUDA out of memory", "patina doctor"),
        (MemoryError(), "MemoryError", "patina doctor"),
        (SettingsError("no key", hint="write it"), "no key", "write it"),
    ],
)
def test_what_an_engine_raises_at_work_is_a_fault_of_its_model(
    where: str, error: Exception, said: str, hint: str
) -> None:
    model = Server(error) if where == "embed_texts" else Engine(where, error)
    with pytest.raises(ModelError, match=f"^the runtime words failed to run model words: {said}") as caught:
        Encoder(SPEC, RuntimeChoice("words", ""), "f" * 32, model).encode(["alpha"], role="passage")
    assert caught.value.hint == hint


def test_what_a_model_itself_says_is_passed_on() -> None:
    model = Engine("forward", ModelError("the server is away", hint="start it"))
    with pytest.raises(ModelError, match=r"^the server is away$"):
        Encoder(SPEC, RuntimeChoice("words", ""), "f" * 32, model).encode(["alpha"], role="passage")
