"""Vectors of a query set: how near each text is to each question, and the ranking of all units by that.

For a view, this is what the index is for a search: the `vector` retriever asks it for the nearest texts. It
also ranks all units at once, without the retriever: the gate does so for each projection that it compares.
Both rank the same, which a test holds; by the retriever, through dictionaries, the six sets of a history of
783 commits take 21.6 s of CPU time instead of 0.5. No index can be asked: it holds vectors as the projection
in use gives them, and other projections are what is compared.

    raw = load_embeddings(...)
    for name, project in projections.items():
        seen = raw.projected(project)
        figures[name] = {one.name: reciprocal_ranks(one, seen) for one in sets}
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from patina_hooks.corpus.observations import text_key
from patina_hooks.evaluation.statistics.metrics import NOT_FOUND, best_units, measure_ranking

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from patina_hooks.evaluation.embeddings import Embeddings
    from patina_hooks.evaluation.query_sets.mining import MinedQuery, QuerySet

    Scores = NDArray[np.float32]
    Flags = NDArray[np.bool_]

_AT_ONCE: Final = 2_000_000  # scores in memory


@dataclass(frozen=True, slots=True, eq=False)
class QuestionScores:
    """How near the texts of a set are to one question.

    scores: [t] of each distinct text; text_of: [pieces] which text each piece says.
    """

    query: MinedQuery
    scores: Scores
    text_of: NDArray[np.intp]
    ranking: VectorRanking

    def nearest(self, question: str, hidden: Flags, limit: int) -> dict[int, float]:
        """Return the pieces of the `limit` nearest texts, each with its score.

        question: the query's, or a text that is encoded for it. hidden: [pieces] what is not looked at.
        """
        scores = self.scores if question == self.query.text else self.ranking.scores_of(question)
        visible = np.full(len(scores), NOT_FOUND, np.float32)
        visible_texts = np.unique(self.text_of[~hidden])
        visible[visible_texts] = scores[visible_texts]
        near = np.zeros(len(scores), np.bool_)
        near[best_units(visible, limit)] = True
        pieces = np.flatnonzero(near[self.text_of] & ~hidden)
        return dict(zip(pieces.tolist(), scores[self.text_of[pieces]].tolist(), strict=True))


class VectorRanking:
    """One set's texts, seen by one model or projection."""

    def __init__(self, query_set: QuerySet, embeddings: Embeddings) -> None:
        self._set = query_set
        self._embeddings = embeddings
        rows = np.array([embeddings.passage_rows[piece.key] for piece in query_set.pieces], np.intp)
        # Texts in the order of their keys: equals are ranked as an index ranks them.
        texts, self._text_of = np.unique(rows, return_inverse=True)
        self._passages = embeddings.passages[texts]
        self._starts = np.flatnonzero(np.diff(query_set.link_units, prepend=-1))
        self._spoken_for = query_set.link_units[self._starts]

    def each(self) -> Iterator[QuestionScores]:
        """Return the scores for every question of the set, in its order."""
        queries = self._set.queries
        size = max(1, _AT_ONCE // max(1, len(self._passages)))
        for start in range(0, len(queries), size):
            chunk = queries[start : start + size]
            rows = [self._embeddings.query_rows[text_key(query.text)] for query in chunk]
            # Rounded as an index rounds: the last digits depend on what is multiplied at once.
            scores = np.round(self._embeddings.queries[rows] @ self._passages.T, 5)
            for query, of_texts in zip(chunk, scores, strict=True):
                yield QuestionScores(query, of_texts, self._text_of, self)

    def scores_of(self, question: str) -> Scores:
        """Return how near each text is to a question that the set does not ask, [t]."""
        scores: Scores = np.round(self._passages @ self._embeddings.encode(question), 5)
        return scores

    def of_units(self, vectors: QuestionScores) -> Scores:
        """Return the score of each unit by its best visible piece, [u].

        `NOT_FOUND` for what the question does not see and what may not answer it.
        """
        pieces = vectors.scores[self._text_of]
        pieces[self._set.hidden(vectors.query)] = NOT_FOUND
        units = np.full(len(self._set.units), NOT_FOUND, np.float32)
        if len(self._starts):
            units[self._spoken_for] = np.maximum.reduceat(pieces[self._set.link_pieces], self._starts)
        if vectors.query.candidates is not None:
            units[~vectors.query.candidates.flags] = NOT_FOUND
        return units


def reciprocal_ranks(query_set: QuerySet, embeddings: Embeddings) -> NDArray[np.float64]:
    """Return 1 / the rank of the first right answer by vectors only (0 beyond 10), in the questions' order.

    embeddings: as `Embeddings.projected` gives them, so that a projection is applied once for all sets.
    """
    ranking = VectorRanking(query_set, embeddings)
    ranks = [measure_ranking(ranking.of_units(scores), scores.query.relevant).rr for scores in ranking.each()]
    return np.array(ranks, np.float64)
