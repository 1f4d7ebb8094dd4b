"""Garbage: what the caches keep for a branch's return, once nobody will return."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from patina_hooks.corpus.observations import parse_extractor_tag
from patina_hooks.plugins.kinds import is_provided
from patina_hooks.plugins.manager import Plugins
from patina_hooks.search.index.spaces import VECTORS_FOLDER, VectorSpace, active_space
from patina_hooks.store.collections import collection_folder, stored_collections
from patina_hooks.store.database.schema import compact
from patina_hooks.store.embeddings import EmbeddingCache
from patina_hooks.store.garbage import (
    count_observations_by_extractor,
    delete_unreferenced,
    release_dead_texts,
)
from patina_hooks.store.log import Log
from patina_hooks.store.pairs.generators import count_pairs_by_generator
from patina_hooks.system.files import folder_size, remove_path


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
    observations = count_observations_by_extractor(log.connection)
    for name in stored_collections(log.path.parent):
        with Log(collection_folder(log.path.parent, name), create=False) as other:
            observations += count_observations_by_extractor(other.connection)
    pairs = count_pairs_by_generator(log.connection)
    read = [count for tag, count in observations if not is_provided(parse_extractor_tag(tag)[0], extractors)]
    made = [count for name, count in pairs if not is_provided(name, generators)]
    return AbsentResults(len(read) + len(made), sum(read), sum(made))


def collect(log: Log, state: Path, wanted: VectorSpace | None) -> Freed:
    """Drop observations of objects that no document holds, embeddings of texts that nobody says, and the
    vectors and embeddings that no recipe needs. The caller holds the sync lock.

    wanted: what the recipe asks for: where that does not answer yet, it may be half made. None where nobody
        can tell what that is: then the vectors and embeddings of every model stay.
    """
    before = folder_size(state)
    observations, live_texts = _release(log)
    for name in stored_collections(state):
        with Log(collection_folder(state, name)) as other:
            freed, texts = _release(other)
            compact(other.connection)
            _drop_unneeded(other, replace(wanted, projection="", projected=0) if wanted else None)
        observations += freed
        live_texts += texts
    embeddings = 0
    space = active_space(log)
    if space is not None:
        with closing(EmbeddingCache(state, space.fingerprint)) as cache:
            embeddings = cache.keep_only(live_texts, [wanted.fingerprint] if wanted else None)
    _drop_unneeded(log, wanted)
    compact(log.connection)
    return Freed(observations, embeddings, max(0, before - folder_size(state)))


def _release(log: Log) -> tuple[int, list[bytes]]:
    """Drop observations of objects that no document holds; return their number and the live texts."""
    with log.writing() as connection:
        return delete_unreferenced(connection), release_dead_texts(connection)


def _drop_unneeded(log: Log, wanted: VectorSpace | None) -> None:
    """Remove the vectors next to a log that neither answer nor are asked for."""
    folder, space = log.path.parent, active_space(log)
    if space is None or wanted is None:
        return
    needed = {space.folder(folder), wanted.folder(folder)}
    for path in (folder / VECTORS_FOLDER).glob("*"):
        if path not in needed:
            remove_path(path)
