"""What a question could find: asked for a word, with its own part of the set before its eyes."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import numpy as np

from patina_hooks.corpus.observations import text_key
from patina_hooks.evaluation.embeddings import Embeddings
from patina_hooks.evaluation.history import History
from patina_hooks.evaluation.nearness import Nearness
from patina_hooks.evaluation.query_sets.mining import Query, QuerySet
from patina_hooks.evaluation.statistics.metrics import NOT_FOUND
from patina_hooks.evaluation.wording import wording_of

CANARY = "zyzzyva"


def by_words(history: History, query_set: QuerySet, query: Query, words: str = CANARY) -> set[str]:
    """The units that any lexical channel finds by these words, as that question sees the set."""
    with closing(wording_of(query_set, history.schema)) as wording:
        found = wording.ask(replace(query, text=words))
    return {query_set.units[unit] for units in found.values() for unit in units}


def by_vectors(query_set: QuerySet, query: Query, word: str = CANARY) -> set[str]:
    """The units that vectors find by a piece with this word: such pieces are in one direction, which is the
    question's, and all others in another."""
    said = sorted({piece.key: piece.text for piece in query_set.pieces}.items())
    passages = np.array([[1, 0] if word in text else [0, 1] for _, text in said], np.float32)
    rows = {key: row for row, (key, _) in enumerate(said)}
    asked = {text_key(query.text): 0}
    embeddings = Embeddings(passages.reshape(-1, 2), rows, np.array([[1, 0]], np.float32), asked)
    ((_, near),) = Nearness(replace(query_set, queries=(query,)), embeddings).each()
    of_texts = {text for (_, text), score in zip(said, near.texts, strict=True) if score > NOT_FOUND}
    units = {query_set.units[unit] for unit in np.flatnonzero(near.units > 0.5)}
    assert bool(units) <= any(word in text for text in of_texts)
    return units


def seeing_all(query_set: QuerySet, query: Query) -> Query:
    """The same question with nothing hidden from it."""
    return replace(
        query, masked=frozenset(), untitled=frozenset(), candidates=None, seen=len(query_set.pieces)
    )


def words_in(query_set: QuerySet, query: Query) -> str:
    """All that a question sees: its pieces and titles."""
    hidden = query_set.hidden(query)
    pieces = [piece.text for piece, away in zip(query_set.pieces, hidden, strict=True) if not away]
    titles = [title for unit, title in enumerate(query_set.titles) if unit not in query.untitled]
    return "\n".join([*pieces, *titles])
