"""Each way to answer a question, side by side: baselines that do not read it, words, vectors, both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

import numpy as np

from patina_hooks.evaluation.nearness import Near, Nearness
from patina_hooks.evaluation.statistics.metrics import NOT_FOUND, best
from patina_hooks.evaluation.wording import CANDIDATES, Found, wording_of
from patina_hooks.search.fusion import fuse

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from patina_hooks.evaluation.embeddings import Embeddings
    from patina_hooks.evaluation.query_sets.mining import Query, QuerySet

    Scores = NDArray[np.float32]

CHANNELS: Final = ("hybrid", "rrf", "vector", "bm25", "recent", "popularity")
BASELINES: Final = ("rrf", "vector", "bm25", "recent", "popularity")

Reading = Literal["hybrid", "rrf", "vector", "bm25"]
READING: Final[tuple[Reading, ...]] = get_args(Reading)
"""Those that read the question: what the others say changes with history alone."""

_FILE_WEIGHTS: Final = {"observation": 0.5, "vector": 0.5}
_RRF: Final = 60  # Cormack, Clarke and Buettcher, SIGIR 2009


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What was found for one question.

    fused: channel -> what `hybrid` fuses: for sessions the candidates that `scry` would take, by observation,
    session, title and vector; for files by observation and vector. vector: [u] every unit's score.
    """

    query: Query
    fused: Mapping[str, Found]
    vector: Scores


def gather(query_set: QuerySet, schema: Sequence[str], embeddings: Embeddings) -> Iterator[Evidence]:
    """The evidence of each question of a set, in its order. schema: see `History`."""
    return (evidence for (evidence,) in gather_side_by_side(query_set, schema, [embeddings]))


def gather_side_by_side(
    query_set: QuerySet, schema: Sequence[str], embeddings: Sequence[Embeddings]
) -> Iterator[list[Evidence]]:
    """For each question the evidence by each of several vectors; words, which are most of the work, are asked
    once."""
    seen = [Nearness(query_set, one) for one in embeddings]
    with closing(wording_of(query_set, schema)) as wording:
        for asked in zip(*(nearness.each() for nearness in seen), strict=True):
            query = asked[0][0]
            found = wording.ask(query)
            yield [
                Evidence(query, {**found, "vector": _by_vector(query_set, query, nearness, near)}, near.units)
                for nearness, (_, near) in zip(seen, asked, strict=True)
            ]


def _by_vector(query_set: QuerySet, query: Query, nearness: Nearness, near: Near) -> Found:
    if query_set.rolling:
        return _found(near.units)
    return nearness.units_of(query, best(near.texts, CANDIDATES), near)


def rankings(query_set: QuerySet, evidence: Evidence, weights: Mapping[str, float]) -> dict[str, Scores]:
    """Channel -> the score of each unit [u], `NOT_FOUND` for those that it does not rank.

    weights: of hybrid, for sessions; files are fused evenly. "recent" is for files alone: at the moment of a
    question about a session, the session that answers it is the latest one by the way the question is made.
    """
    query, size = evidence.query, len(query_set.units)
    bm25 = _scores(evidence.fused["observation"], size)
    fused = fuse(evidence.fused, _FILE_WEIGHTS if query_set.rolling else weights)
    recent = {"recent": _baseline(query, query_set.recency(query))} if query_set.rolling else {}
    return {
        "hybrid": _scores(fused, size),
        "rrf": _reciprocal_rank_fusion([bm25, evidence.vector]),
        "vector": evidence.vector,
        "bm25": bm25,
        **recent,
        "popularity": _baseline(query, query_set.popularity(query)),
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


def _scores(found: Mapping[int, float], size: int) -> Scores:
    scores = np.full(size, NOT_FOUND, np.float32)
    scores[list(found)] = list(found.values())
    return scores


def _found(scores: Scores) -> Found:
    units = np.flatnonzero(scores > NOT_FOUND)
    return dict(zip(units.tolist(), scores[units].tolist(), strict=True))
