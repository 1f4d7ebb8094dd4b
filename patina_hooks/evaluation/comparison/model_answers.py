"""What models find: the same questions, asked of the vectors of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from patina_hooks.evaluation.methods import gather_side_by_side, rankings
from patina_hooks.evaluation.results import Answer, SetResult
from patina_hooks.evaluation.statistics.metrics import measure_ranking
from patina_hooks.models.embedding import embed as embed_texts
from patina_hooks.search.fusion import WEIGHTS
from patina_hooks.store.embeddings import EmbeddingCache

if TYPE_CHECKING:
    from patina_hooks.evaluation.embeddings import Embeddings
    from patina_hooks.evaluation.methods import QuestionEvidence
    from patina_hooks.evaluation.query_sets.mining import QuerySet
    from patina_hooks.models.encoding import Encoder
    from patina_hooks.search.index.spaces import VectorSpace

    Progress = Callable[[str, int, int], None]

METHODS: Final = ("hybrid", "vector")
"""What is compared: what `patina scry` answers, and what the model finds without the help of words."""

_SECONDS: Final = 4
_FEWEST: Final = 8
_MOST: Final = 1_024


def find_missing_texts(state: Path, space: VectorSpace, sets: Iterable[QuerySet]) -> dict[bytes, str]:
    """Find the texts, by key, that must be embedded before a space can answer these sets.

    They are sorted by key, a hash, so that every part has a similar mixture of lengths.
    """
    texts = {piece.key: piece.text for query_set in sets for piece in query_set.pieces}
    with closing(EmbeddingCache(state, space.fingerprint)) as cache:
        return {key: texts[key] for key in cache.missing(sorted(texts), space.dimensions)}


def cache_vectors(
    state: Path,
    space: VectorSpace,
    texts: Mapping[bytes, str],
    open_encoder: Callable[[], Encoder],
    per_second: float,
    progress: Callable[[int, int], None],
) -> None:
    """Embed these texts into the cache, in batches of a few seconds that are stored at once.

    per_second: about how many texts the model embeds. Raises as the encoder does.
    """
    keys = list(texts)
    if not keys:
        return
    encoder = open_encoder()
    size = min(_MOST, max(_FEWEST, int(per_second * _SECONDS)))
    with closing(EmbeddingCache(state, space.fingerprint)) as cache:
        for start in range(0, len(keys), size):
            chunk = keys[start : start + size]
            embed_texts(cache, encoder, chunk, [texts[key] for key in chunk], role="passage")
            progress(start + len(chunk), len(keys))


def answer_query_sets(
    sets: Sequence[QuerySet],
    embeddings: Mapping[str, Embeddings],
    progress: Progress = lambda *_: None,
) -> dict[str, list[SetResult]]:
    """Name -> how well each set is answered with these vectors, in `METHODS`, fused by the usual weights."""
    results: dict[str, list[SetResult]] = {name: [] for name in embeddings}
    finished, total = 0, sum(map(len, sets))
    for query_set in sets:
        answers: dict[str, list[Answer]] = {name: [] for name in embeddings}
        for evidence in gather_side_by_side(query_set, list(embeddings.values())):
            for name, question in zip(embeddings, evidence, strict=True):
                answers[name].append(_answer(query_set, question))
            finished += 1
            progress("measuring answers", finished, total)
        for name, set_answers in answers.items():
            results[name].append(SetResult(query_set.name, tuple(set_answers)))
    return results


def _answer(query_set: QuerySet, evidence: QuestionEvidence) -> Answer:
    # Weights that were tuned here were tuned on one model's vectors: they would favour it.
    ranked = rankings(query_set, evidence, WEIGHTS)
    query = evidence.query
    metrics = {method: measure_ranking(ranked[method], query.relevant) for method in METHODS}
    return Answer(query.id, query.cluster, metrics)
