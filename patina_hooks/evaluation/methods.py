"""Methods to answer a question, next to each other: baselines that do not read it, words, vectors, both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, get_args

import numpy as np

from patina_hooks.evaluation.statistics.metrics import NOT_FOUND, best_units
from patina_hooks.evaluation.vector_ranking import VectorRanking
from patina_hooks.evaluation.views import view_of
from patina_hooks.search.fusion import WEIGHTS, fuse
from patina_hooks.search.retrieval.builtin import BUILTIN_RETRIEVERS
from patina_hooks.search.retrieval.ranking import rank
from patina_hooks.search.retrieval.retrieve import Evidence, retrieve

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from patina_hooks.evaluation.embeddings import Embeddings
    from patina_hooks.evaluation.query_sets.mining import MinedQuery, QuerySet
    from patina_hooks.evaluation.views import PastView
    from patina_hooks.search.retrieval.refinement import Refinement
    from patina_hooks.search.retrieval.retrieve import Retriever

    Scores = NDArray[np.float32]

METHODS: Final = ("hybrid", "rrf", "vector", "bm25", "recent", "popularity")
BASELINES: Final = ("rrf", "vector", "bm25", "recent", "popularity")

Reading = Literal["hybrid", "rrf", "vector", "bm25"]
READING: Final[tuple[Reading, ...]] = get_args(Reading)
"""Those that read the question: the others depends on history only."""

_FILE_WEIGHTS: Final = {"observation": 0.5, "vector": 0.5}
_RRF: Final = 60  # Cormack, Clarke and Buettcher, SIGIR 2009


UnitScores = dict[int, float]
"""Unit -> score, higher is better."""


@dataclass(frozen=True, slots=True, eq=False)
class QuestionEvidence:
    """What was found for one question.

    fused: retriever -> what `hybrid` fuses, the candidates that a search takes; for files words and vectors.
    vector: [u] every unit's score. refined: the units in the order of rerankers and without what filters
    leave out, None where there are none.
    """

    query: MinedQuery
    fused: Mapping[str, UnitScores]
    vector: Scores
    refined: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What answers. weights: of its retrievers; refinement: what the recipe names, None for nothing."""

    retrievers: Sequence[Retriever] = BUILTIN_RETRIEVERS
    weights: Mapping[str, float] = field(default_factory=lambda: WEIGHTS)
    refinement: Refinement | None = None


USUAL: Final = Pipeline()


def gather(
    query_set: QuerySet, embeddings: Embeddings, pipeline: Pipeline = USUAL
) -> Iterator[QuestionEvidence]:
    """Return the evidence of each question of a set, in its order."""
    return (evidence for (evidence,) in gather_side_by_side(query_set, [embeddings], pipeline))


def gather_side_by_side(
    query_set: QuerySet, embeddings: Sequence[Embeddings], pipeline: Pipeline = USUAL
) -> Iterator[list[QuestionEvidence]]:
    """Return for each question the evidence by each of several vectors; words are looked up once."""
    # Files are no answers of a search: there words are fused with vectors that rank every file.
    rolling = query_set.rolling
    retrievers = [
        retriever for retriever in pipeline.retrievers if not rolling or retriever.name == "observation"
    ]
    by_words = [retriever for retriever in retrievers if not retriever.spec.vectors]
    by_vectors = [retriever for retriever in retrievers if retriever.spec.vectors]
    refinement = None if rolling else pipeline.refinement
    rankings = [VectorRanking(query_set, retriever) for retriever in embeddings]
    with closing(view_of(query_set)) as view:
        for query, *question_scores in zip(
            query_set.queries, *(ranking.each() for ranking in rankings), strict=True
        ):
            with view.showing(query):
                question = refinement.rewrite(query.text, view) if refinement else query.text
                words = retrieve(question, view, by_words)
                evidence = []
                for ranking, vectors in zip(rankings, question_scores, strict=True):
                    view.vectors = vectors
                    of_units = ranking.of_units(vectors)
                    evidence_of_question = words.joined(retrieve(question, view, by_vectors)).only(
                        view.may_answer
                    )
                    fused = _by_unit(view, evidence_of_question) | (
                        {"vector": _found(of_units)} if rolling else {}
                    )
                    refined = None
                    if refinement and refinement.orders:
                        order = rank(
                            query.text, view, evidence_of_question, pipeline.weights, refinement
                        ).order
                        refined = tuple(view.numbers[group] for group in order)
                    evidence.append(QuestionEvidence(query, fused, of_units, refined))
            yield evidence


def _by_unit(view: PastView, evidence: Evidence) -> dict[str, UnitScores]:
    return {
        name: {view.numbers[group]: score for group, score in scores.items()}
        for name, scores in evidence.groups.items()
    }


def rankings(
    query_set: QuerySet, evidence: QuestionEvidence, weights: Mapping[str, float]
) -> dict[str, Scores]:
    """Return by method the score of each unit [u], `NOT_FOUND` for those that it does not rank.

    A retriever of a plugin is a method too. weights: of hybrid, for sessions; files are fused evenly.
    "recent" is for files only: at the moment of a question about a session, the session that answers it is
    the latest one by the way the question is made.
    """
    query, size = evidence.query, len(query_set.units)
    bm25 = _scores(evidence.fused["observation"], size)
    fused = fuse(evidence.fused, _FILE_WEIGHTS if query_set.rolling else weights)
    if evidence.refined is not None:
        fused = {unit: float(-place) for place, unit in enumerate(evidence.refined)}
    added = {name: _scores(scores, size) for name, scores in evidence.fused.items() if name not in WEIGHTS}
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
        ranked = best_units(scores, len(scores))
        total[ranked] += 1 / (_RRF + np.arange(1, len(ranked) + 1, dtype=np.float32))
    return np.where(total > 0, total, np.float32(NOT_FOUND))


def _baseline(query: MinedQuery, counts: NDArray[np.int64]) -> Scores:
    allowed = counts > 0
    if query.candidates is not None:
        allowed &= query.candidates.flags
    return np.where(allowed, counts, NOT_FOUND).astype(np.float32)


def _scores(unit_scores: UnitScores, size: int) -> Scores:
    scores = np.full(size, NOT_FOUND, np.float32)
    scores[list(unit_scores)] = list(unit_scores.values())
    return scores


def _found(scores: Scores) -> UnitScores:
    units = np.flatnonzero(scores > NOT_FOUND)
    return dict(zip(units.tolist(), scores[units].tolist(), strict=True))
