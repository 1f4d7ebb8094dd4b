"""The vectors that evaluation compares: of pieces from the cache, of questions encoded once and kept there.

A question's vector is cached under a name of its own, since models may read a question in
another way than a passage; `patina gc` drops it, and the next evaluation encodes it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from patina_hooks.corpus.observations import text_key
from patina_hooks.errors import StateError
from patina_hooks.models.embedding import embed
from patina_hooks.store.embeddings import EmbeddingCache

if TYPE_CHECKING:
    from patina_hooks.evaluation.query_sets.mining import QuerySet
    from patina_hooks.models.encoding import Encoder
    from patina_hooks.search.index.spaces import Project, VectorSpace
    from patina_hooks.specs.vectors import Vectors

_CHUNK = 256


def _no_model(text: str) -> Vectors:
    raise ValueError(f"no model is open to read {text!r}")


@dataclass(frozen=True, slots=True, eq=False)
class Embeddings:
    """passages: [p, d], queries: [q, d] float32 unit rows, and which row is whose, by text key.

    Rows are in the order of their keys, so that ties are decided as an index decides them.
    encode: reads a question that the sets do not ask, [d].
    """

    passages: Vectors
    passage_rows: Mapping[bytes, int]
    queries: Vectors
    query_rows: Mapping[bytes, int]
    encode: Callable[[str], Vectors] = _no_model

    def projected(self, project: Project | None) -> Embeddings:
        """Return the same texts seen through a projection; None gives the model's own vectors."""
        if project is None:
            return self

        def encode(text: str) -> Vectors:
            vector: Vectors = project(self.encode(text)[None])[0]
            return vector

        passages, queries = project(self.passages), project(self.queries)
        return replace(self, passages=passages, queries=queries, encode=encode)


def load_embeddings(
    state: Path,
    space: VectorSpace,
    sets: Iterable[QuerySet],
    open_encoder: Callable[[], Encoder],
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> Embeddings:
    """All that these sets need. open_encoder: called only where a question was never encoded before.

    Raises `StateError` where pieces are not embedded yet, `PatinaError` as the encoder does.
    """
    sets = list(sets)
    passages = sorted({piece.key for query_set in sets for piece in query_set.pieces})
    questions = {text_key(query.text): query.text for query_set in sets for query in query_set.queries}
    keys = sorted(questions)
    with closing(EmbeddingCache(state, space.fingerprint)) as cache:
        if missing := cache.missing(passages, space.dimensions):
            raise StateError(
                f"{len(missing):,} of {len(passages):,} texts have no vector yet", hint="patina sync --full"
            )
        passage_vectors = cache.get(passages, space.dimensions)
    with closing(EmbeddingCache(state, f"{space.fingerprint} query {space.query}")) as cache:
        _encode(cache, space.dimensions, keys, questions, open_encoder, progress)
        queries = cache.get(keys, space.dimensions)
    opened = lru_cache(1)(open_encoder)

    def encode(text: str) -> Vectors:
        vector: Vectors = opened().encode([text], role="query").vectors[0]
        return vector

    return Embeddings(passage_vectors, _rows(passages), queries, _rows(keys), encode)


def _encode(
    cache: EmbeddingCache,
    dimensions: int,
    keys: Sequence[bytes],
    texts: Mapping[bytes, str],
    open_encoder: Callable[[], Encoder],
    progress: Callable[[str, int, int], None],
) -> None:
    missing = sorted(cache.missing(keys, dimensions), key=lambda key: (len(texts[key]), key))
    encoder = open_encoder() if missing else None
    for start in range(0, len(missing), _CHUNK):
        chunk = missing[start : start + _CHUNK]
        if encoder is not None:
            embed(cache, encoder, chunk, [texts[key] for key in chunk], role="query")
        progress("reading questions", start + len(chunk), len(missing))


def _rows(keys: Sequence[bytes]) -> dict[bytes, int]:
    return {key: row for row, key in enumerate(keys)}
