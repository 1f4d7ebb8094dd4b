"""Garbage: what the caches keep for a branch's return, once nobody will return."""

from __future__ import annotations

from collections.abc import Set
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from patina_hooks.corpus.observations import extractor_of
from patina_hooks.plugins.kinds import is_provided
from patina_hooks.plugins.manager import Plugins
from patina_hooks.search.index.spaces import VECTORS_FOLDER, VectorSpace, active_space
from patina_hooks.store.embeddings import EmbeddingCache
from patina_hooks.store.log import Log
from patina_hooks.system.files import remove, size_of


@dataclass(frozen=True, slots=True)
class Freed:
    """How much went; bytes on disk.

    kept: why what other models made stays, "" where it went. pairs: of generators that are not installed.
    """

    observations: int
    embeddings: int
    bytes: int
    kept: str = ""
    pairs: int = 0


@dataclass(frozen=True, slots=True)
class AbsentResults:
    """How much is stored of extractors and pair generators that are not installed here."""

    providers: int
    observations: int
    pairs: int


def absent_results(log: Log, plugins: Plugins) -> AbsentResults:
    """Count what is stored of absent extractors and pair generators; reads all sources."""
    extractors, generators = plugins.extractors(), plugins.pair_generators()
    observations = log.connection.execute(
        "SELECT s.extractor, count(o.id) FROM source s LEFT JOIN observation o ON o.source_id = s.id"
        " GROUP BY s.extractor"
    )
    pairs = log.connection.execute(
        "SELECT g.name, total(t.count) FROM generator g LEFT JOIN pair_total t ON t.generator_id = g.id"
        " GROUP BY g.id"
    )
    read = [count for tag, count in observations if not is_provided(extractor_of(tag)[0], extractors)]
    made = [int(count) for name, count in pairs if not is_provided(name, generators)]
    return AbsentResults(len(read) + len(made), sum(read), sum(made))


def collect(log: Log, state: Path, wanted: VectorSpace | None) -> Freed:
    """Drop observations of objects that no document holds, embeddings of texts that nobody says, and the
    vectors and embeddings that no recipe needs. The caller holds the sync lock.

    wanted: what the recipe asks for: where that does not answer yet, it may be half made. None where nobody
        can tell what that is: then the vectors and embeddings of every model stay.
    """
    before = size_of(state)
    with log.writing() as connection:
        observations = connection.execute(
            "DELETE FROM observation WHERE NOT live AND source_id IN"
            " (SELECT s.id FROM source s WHERE NOT EXISTS (SELECT 1 FROM document d WHERE d.oid = s.oid))"
        ).rowcount
        connection.execute(
            "DELETE FROM source WHERE NOT EXISTS (SELECT 1 FROM document d WHERE d.oid = source.oid)"
        )
        # An index may hold vectors of texts that left, whose embeddings go now: what returns is read again.
        connection.execute("UPDATE text SET indexed = 0 WHERE live = 0")
        connection.execute("DELETE FROM path WHERE id NOT IN (SELECT path_id FROM change)")
        said = [row[0] for row in connection.execute("SELECT key FROM text WHERE live > 0")]
    embeddings = 0
    space = active_space(log)
    if space is not None:
        with closing(EmbeddingCache(state, space.fingerprint)) as cache:
            embeddings = cache.keep_only(said, [wanted.fingerprint] if wanted else None)
        if wanted:
            _drop_vectors(state, {space.folder(state), wanted.folder(state)})
    log.compact()
    return Freed(observations, embeddings, max(0, before - size_of(state)))


def _drop_vectors(state: Path, needed: Set[Path]) -> None:
    for path in (state / VECTORS_FOLDER).glob("*"):
        if path not in needed:
            remove(path)
