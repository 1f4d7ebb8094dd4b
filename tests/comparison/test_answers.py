"""What models find: the same as `patina eval` says of each, and nothing embedded twice."""

from __future__ import annotations

import pytest
from evaluation.past import Past, embedded, make_past, read_past, space_of
from support.memory import Memory, open_model, plugins

from patina_hooks.config.recipe import Recipe
from patina_hooks.errors import StateError
from patina_hooks.evaluation.comparison.model_answers import (
    METHODS,
    answer_query_sets,
    cache_vectors,
    find_missing_texts,
)
from patina_hooks.evaluation.embeddings import load_embeddings
from patina_hooks.evaluation.evaluate import evaluate, mine
from patina_hooks.models.encoding import Encoded, Encoder
from patina_hooks.search.index.spaces import VectorSpace, requested_space


def other_space() -> VectorSpace:
    return requested_space(plugins(), Recipe(model="minilm-l6-v2"))


class Interrupted:
    """An encoder that is interrupted when it is asked for the third time."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder, self.basis = encoder, 0

    def encode(self, texts: list[str], role: str) -> Encoded:
        self.basis += 1
        if self.basis == 3:
            raise KeyboardInterrupt
        return self.encoder.encode(texts, role="passage")


def test_an_interrupted_embedding_goes_on_where_it_was(tmp_path_factory: pytest.TempPathFactory) -> None:
    past = make_past(tmp_path_factory.mktemp("interrupted") / "repository")
    state, space, sets = past.memory.state, other_space(), mine(past.history())
    first = find_missing_texts(state, space, sets)
    assert len(first) > 24
    slow = Interrupted(open_model(space))
    with pytest.raises(KeyboardInterrupt):
        cache_vectors(state, space, first, lambda: slow, 0.1, lambda *_: None)  # type: ignore[arg-type,return-value]
    left = find_missing_texts(state, space, sets)
    assert list(left) == list(first)[16:]
    with pytest.raises(StateError, match="have no vector yet"):
        load_embeddings(state, space, sets, lambda: open_model(space))

    told: list[tuple[int, int]] = []
    cache_vectors(state, space, left, lambda: open_model(space), 1e6, lambda *said: told.append(said))
    assert told == [(len(left), len(left))]
    assert find_missing_texts(state, space, sets) == {}
    again = past.memory.patina()
    assert again.search("marmots")[0].session == past.sessions[0]


def test_what_is_embedded_already_opens_no_model(past: Past) -> None:
    space, sets = space_of(past.memory), mine(past.history())
    texts = find_missing_texts(past.memory.state, space, sets)
    assert texts == {}

    def refuse() -> Encoder:
        raise AssertionError

    cache_vectors(past.memory.state, space, texts, refuse, 1.0, lambda *_: None)


def test_the_answers_are_those_of_eval(past: Past) -> None:
    sets = mine(past.history())
    embeddings = embedded(past.memory, sets)
    found = answer_query_sets(sets, {"a": embeddings, "b": embeddings})
    assert found["a"] == found["b"]
    for ours, theirs in zip(found["a"], evaluate(past.memory.patina()).sets, strict=True):
        assert (ours.name, ours.clusters) == (theirs.name, theirs.clusters)
        for method in METHODS:
            assert ours.figures(method) == theirs.figures(method)


def test_side_by_side_and_alone_are_the_same(tmp_path_factory: pytest.TempPathFactory) -> None:
    memory: Memory = make_past(tmp_path_factory.mktemp("beside") / "repository").memory
    history, space = read_past(memory), other_space()
    sets = mine(history)
    cache_vectors(
        memory.state,
        space,
        find_missing_texts(memory.state, space, sets),
        lambda: open_model(space),
        100,
        _quiet,
    )
    both = {
        "acme": embedded(memory, sets),
        "minilm": load_embeddings(memory.state, space, sets, lambda: open_model(space)),
    }
    together = answer_query_sets(sets, both)
    assert together == {name: answer_query_sets(sets, {name: one})[name] for name, one in both.items()}
    assert together["acme"] != together["minilm"]


def _quiet(*_: object) -> None:
    pass
