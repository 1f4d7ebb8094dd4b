"""What a question could find: asked for a word, with its own part of the set before its eyes."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import numpy as np

from patina_hooks.corpus.observations import text_key
from patina_hooks.evaluation.embeddings import Embeddings
from patina_hooks.evaluation.history import History
from patina_hooks.evaluation.query_sets.mining import MinedQuery, QuerySet
from patina_hooks.evaluation.vector_ranking import VectorRanking
from patina_hooks.evaluation.views import view_of
from patina_hooks.search.retrieval.builtin import BUILTIN_RETRIEVERS
from patina_hooks.search.retrieval.retrieve import retrieve

CANARY = "zyzzyva"


def by_words(history: History, query_set: QuerySet, query: MinedQuery, words: str = CANARY) -> set[str]:
    """The units that any retriever of words finds by these words, as that question sees the set."""
    with closing(view_of(query_set)) as view, view.showing(query):
        found = retrieve(words, view, BUILTIN_RETRIEVERS)
    return {name for groups in found.groups.values() for _, name in groups}


def by_vectors(query_set: QuerySet, query: MinedQuery, word: str = CANARY) -> set[str]:
    """The units that vectors find by a piece with this word: such pieces are in one direction, which is the
    question's, and all others in another."""
    said = sorted({piece.key: piece.text for piece in query_set.pieces}.items())
    passages = np.array([[1, 0] if word in text else [0, 1] for _, text in said], np.float32)
    rows = {key: row for row, (key, _) in enumerate(said)}
    asked = {text_key(query.text): 0}
    embeddings = Embeddings(passages.reshape(-1, 2), rows, np.array([[1, 0]], np.float32), asked)
    ranking = VectorRanking(replace(query_set, queries=(query,)), embeddings)
    (vectors,) = ranking.each()
    with closing(view_of(query_set)) as view, view.showing(query):
        view.vectors = vectors
        near = view.nearest(query.text, len(said))
        texts = view.texts(near)
    units = {query_set.units[unit] for unit in np.flatnonzero(ranking.of_units(vectors) > 0.5)}
    assert bool(units) <= any(word in text for text in texts.values())
    return units


def seeing_all(query_set: QuerySet, query: MinedQuery) -> MinedQuery:
    """The same question with nothing hidden from it."""
    return replace(
        query,
        masked=frozenset(),
        untitled=frozenset(),
        candidates=None,
        visible_passages=len(query_set.pieces),
    )


def words_in(query_set: QuerySet, query: MinedQuery) -> str:
    """All that a question sees: its pieces and titles."""
    hidden = query_set.hidden(query)
    pieces = [piece.text for piece, away in zip(query_set.pieces, hidden, strict=True) if not away]
    titles = [title for unit, title in enumerate(query_set.titles) if unit not in query.untitled]
    return "\n".join([*pieces, *titles])
