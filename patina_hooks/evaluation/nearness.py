"""The vector channel: how near a set's pieces and units are to its questions.

This is also what the gate compares projections by:

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
from patina_hooks.evaluation.statistics.metrics import NOT_FOUND, worth_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from patina_hooks.evaluation.embeddings import Embeddings
    from patina_hooks.evaluation.query_sets.mining import Query, QuerySet

    Scores = NDArray[np.float32]
    Rows = NDArray[np.intp]

_AT_ONCE: Final = 2_000_000  # scores in memory


@dataclass(frozen=True, slots=True, eq=False)
class Near:
    """texts: [t] the score of each distinct text of the set; units: [u] each unit's, by its best piece.

    `NOT_FOUND` for what the question does not see and what may not answer it.
    """

    texts: Scores
    units: Scores


class Nearness:
    """One set's pieces, seen by one model or projection."""

    def __init__(self, query_set: QuerySet, embeddings: Embeddings) -> None:
        self._set = query_set
        self._embeddings = embeddings
        rows = np.array([embeddings.passage_rows[piece.key] for piece in query_set.pieces], np.intp)
        # Texts in the order of their keys: equals are ranked as an index ranks them.
        self._texts, self._text_of = np.unique(rows, return_inverse=True)
        self._starts = np.flatnonzero(np.diff(query_set.link_units, prepend=-1))
        self._spoken_for = query_set.link_units[self._starts]

    def each(self) -> Iterator[tuple[Query, Near]]:
        """Every question of the set, in its order."""
        passages = self._embeddings.passages[self._texts]
        queries = self._set.queries
        size = max(1, _AT_ONCE // max(1, len(self._texts)))
        for start in range(0, len(queries), size):
            chunk = queries[start : start + size]
            rows = [self._embeddings.query_rows[text_key(query.text)] for query in chunk]
            # Rounded as an index rounds: the last digits depend on what is multiplied at once.
            scores = np.round(self._embeddings.queries[rows] @ passages.T, 5)
            for query, of_texts in zip(chunk, scores, strict=True):
                yield query, self._near(query, of_texts)

    def units_of(self, query: Query, texts: Rows, near: Near) -> dict[int, float]:
        """The units that these texts speak for, each with the score of its best one."""
        allowed = np.full(len(near.texts), NOT_FOUND, np.float32)
        allowed[texts] = near.texts[texts]
        scores = self._units(query, self._pieces(query, allowed))
        found = np.flatnonzero(scores > NOT_FOUND)
        return dict(zip(found.tolist(), scores[found].tolist(), strict=True))

    def _near(self, query: Query, of_texts: Scores) -> Near:
        pieces = self._pieces(query, of_texts)
        visible = np.full(len(of_texts), NOT_FOUND, np.float32)
        np.maximum.at(visible, self._text_of, pieces)
        return Near(visible, self._units(query, pieces))

    def _pieces(self, query: Query, of_texts: Scores) -> Scores:
        pieces: Scores = of_texts[self._text_of]
        pieces[self._set.hidden(query)] = NOT_FOUND
        return pieces

    def _units(self, query: Query, pieces: Scores) -> Scores:
        units = np.full(len(self._set.units), NOT_FOUND, np.float32)
        if len(self._starts):
            units[self._spoken_for] = np.maximum.reduceat(pieces[self._set.link_pieces], self._starts)
        if query.candidates is not None:
            units[~query.candidates.flags] = NOT_FOUND
        return units


def reciprocal_ranks(query_set: QuerySet, embeddings: Embeddings) -> NDArray[np.float64]:
    """1 / the rank of the first right answer by vectors alone (0 beyond 10), one a question, in their order.

    embeddings: as `Embeddings.projected` gives them, so that a projection is applied once for all sets.
    """
    ranked = Nearness(query_set, embeddings).each()
    return np.array([worth_of(near.units, query.relevant).rr for query, near in ranked], np.float64)
