"""Methods to answer a question, next to each other: baselines that do not read it, words, vectors, both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

import numpy as np

from patina_hooks.evaluation.statistics.metrics import NOT_FOUND, best
from patina_hooks.evaluation.vector_ranking import VectorRanking
from patina_hooks.evaluation.views import view_of
from patina_hooks.search.fusion import WEIGHTS, fuse
from patina_hooks.search.retrieval.builtin import BUILTIN_RETRIEVERS
from patina_hooks.search.retrieval.retrieve import retrieve

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from patina_hooks.evaluation.embeddings import Embeddings
    from patina_hooks.evaluation.query_sets.mining import Query, QuerySet
    from patina_hooks.evaluation.views import PastView
    from patina_hooks.search.retrieval.retrieve import Retriever

    Scores = NDArray[np.float32]

CHANNELS: Final = ("hybrid", "rrf", "vector", "bm25", "recent", "popularity")
BASELINES: Final = ("rrf", "vector", "bm25", "recent", "popularity")

Reading = Literal["hybrid", "rrf", "vector", "bm25"]
READING: Final[tuple[Reading, ...]] = get_args(Reading)
"""Those that read the question: what the others say changes with history alone."""

_FILE_WEIGHTS: Final = {"observation": 0.5, "vector": 0.5}
_RRF: Final = 60  # Cormack, Clarke and Buettcher, SIGIR 2009


UnitScores = dict[int, float]
"""Unit -> score, higher is better."""


@dataclass(frozen=True, slots=True, eq=False)
class QuestionEvidence:
    """What was found for one question.

    fused: retriever -> what `hybrid` fuses, the candidates that a search takes; for files words and vectors.
    vector: [u] every unit's score.
    """

    query: Query
    fused: Mapping[str, UnitScores]
    vector: Scores


def gather(
    query_set: QuerySet, embeddings: Embeddings, retrievers: Sequence[Retriever] = BUILTIN_RETRIEVERS
) -> Iterator[QuestionEvidence]:
    """Return the evidence of each question of a set, in its order."""
    return (evidence for (evidence,) in gather_side_by_side(query_set, [embeddings], retrievers))


def gather_side_by_side(
    query_set: QuerySet,
    embeddings: Sequence[Embeddings],
    retrievers: Sequence[Retriever] = BUILTIN_RETRIEVERS,
) -> Iterator[list[QuestionEvidence]]:
    """Return for each question the evidence by each of several vectors; words are looked up once."""
    # Files are no answers of a search: there words are fused with vectors that rank every file.
    asked = [one for one in retrievers if not query_set.rolling or one.name == "observation"]
    by_words = [one for one in asked if not one.spec.vectors]
    by_vectors = [one for one in asked if one.spec.vectors]
    rankings = [VectorRanking(query_set, one) for one in embeddings]
    with closing(view_of(query_set)) as view:
        for query, *seen in zip(query_set.queries, *(ranking.each() for ranking in rankings), strict=True):
            with view.showing(query):
                words = _units(view, query, by_words)
                evidence = []
                for ranking, vectors in zip(rankings, seen, strict=True):
                    view.vectors = vectors
                    of_units = ranking.of_units(vectors)
                    # Files are no answers of a search: there vectors rank every one.
                    semantic = (
                        {"vector": _found(of_units)} if query_set.rolling else _units(view, query, by_vectors)
                    )
                    evidence.append(QuestionEvidence(query, {**words, **semantic}, of_units))
            yield evidence


def _units(view: PastView, query: Query, retrievers: Iterable[Retriever]) -> dict[str, UnitScores]:
    """Return what retrievers find, by unit of the set; a group that the set does not have is left out."""
    found = retrieve(query.text, view, retrievers).groups
    return {
        name: {view.numbers[group]: score for group, score in scores.items() if view.may_answer(group)}
        for name, scores in found.items()
    }


def rankings(
    query_set: QuerySet, evidence: QuestionEvidence, weights: Mapping[str, float]
) -> dict[str, Scores]:
    """Return by method the score of each unit [u], `NOT_FOUND` for those that it does not rank.

    A retriever of a plugin is a method too. weights: of hybrid, for sessions; files are fused evenly.
    "recent" is for files alone: at the moment of a question about a session, the session that answers it is
    the latest one by the way the question is made.
    """
    query, size = evidence.query, len(query_set.units)
    bm25 = _scores(evidence.fused["observation"], size)
    fused = fuse(evidence.fused, _FILE_WEIGHTS if query_set.rolling else weights)
    added = {name: _scores(found, size) for name, found in evidence.fused.items() if name not in WEIGHTS}
    recent = {"recent": _baseline(query, query_set.recency(query))} if query_set.rolling else {}
    return {
        "hybrid": _scores(fused, size),
        "rrf": _reciprocal_rank_fusion([bm25, evidence.vector]),
        "vector": evidence.vector,
        "bm25": bm25,
        **recent,
        "popularity": _baseline(query, query_set.popularity(query)),
        **added,
    }


def _reciprocal_rank_fusion(lists: Sequence[Scores]) -> Scores:
    total = np.zeros_like(lists[0])
    for scores in lists:
        ranked = best(scores, len(scores))
        total[ranked] += 1 / (_RRF + np.arange(1, len(ranked) + 1, dtype=np.float32))
    return np.where(total > 0, total, np.float32(NOT_FOUND))


def _baseline(query: Query, counts: NDArray[np.int64]) -> Scores:
    allowed = counts > 0
    if query.candidates is not None:
        allowed &= query.candidates.flags
    return np.where(allowed, counts, NOT_FOUND).astype(np.float32)


def _scores(found: UnitScores, size: int) -> Scores:
    scores = np.full(size, NOT_FOUND, np.float32)
    scores[list(found)] = list(found.values())
    return scores


def _found(scores: Scores) -> UnitScores:
    units = np.flatnonzero(scores > NOT_FOUND)
    return dict(zip(units.tolist(), scores[units].tolist(), strict=True))
