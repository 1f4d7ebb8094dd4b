"""Garbage collection: remove cached data that no branch or tag references."""

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
    """What a garbage collection removed; bytes are those on disk.

    kept: the reason why results of other models stay, "" if they were removed. pairs: of generators that are
    not installed.
    """

    observations: int
    embeddings: int
    bytes: int
    kept: str = ""
    pairs: int = 0


@dataclass(frozen=True, slots=True)
class AbsentResults:
    """Numbers of stored results of extractors and pair generators that are not installed here."""

    providers: int
    observations: int
    pairs: int


def count_absent_results(log: Log, plugins: Plugins) -> AbsentResults:
    """Count stored results of absent extractors and pair generators; reads all sources."""
    extractors, generators = plugins.extractors(), plugins.pair_generators()
    observations = count_observations_by_extractor(log.connection)
    for name in stored_collections(log.path.parent):
        with Log(collection_folder(log.path.parent, name), create=False) as collection:
            observations += count_observations_by_extractor(collection.connection)
    pairs = count_pairs_by_generator(log.connection)
    of_extractors = [
        count for tag, count in observations if not is_provided(parse_extractor_tag(tag)[0], extractors)
    ]
    of_generators = [count for name, count in pairs if not is_provided(name, generators)]
    return AbsentResults(len(of_extractors) + len(of_generators), sum(of_extractors), sum(of_generators))


def collect_garbage(log: Log, state: Path, requested: VectorSpace | None) -> Freed:
    """Remove data that no branch or tag references; the caller holds the sync lock.

    These are observations of objects that no document has, embeddings of texts that no observation has, and
    vectors and embeddings that the recipe does not need.

    Args:
        log: the log of history.
        state: the state folder.
        requested: the space of the recipe, which may be incomplete and not in use yet. None if it is not
            known: then vectors and embeddings of every model stay.
    """
    before = folder_size(state)
    observations, live_texts = _release(log)
    for name in stored_collections(state):
        with Log(collection_folder(state, name)) as collection:
            released, texts = _release(collection)
            compact(collection.connection)
            unprojected = replace(requested, projection="", projected=0) if requested else None
            _remove_unused_vectors(collection, unprojected)
        observations += released
        live_texts += texts
    embeddings = 0
    space = active_space(log)
    if space is not None:
        with closing(EmbeddingCache(state, space.fingerprint)) as cache:
            embeddings = cache.keep_only(live_texts, [requested.fingerprint] if requested else None)
    _remove_unused_vectors(log, requested)
    compact(log.connection)
    return Freed(observations, embeddings, max(0, before - folder_size(state)))


def _release(log: Log) -> tuple[int, list[bytes]]:
    """Delete observations of objects that no document has; return their number and the live texts."""
    with log.writing() as connection:
        return delete_unreferenced(connection), release_dead_texts(connection)


def _remove_unused_vectors(log: Log, requested: VectorSpace | None) -> None:
    """Remove the vectors next to a log that are neither in use nor requested."""
    folder, space = log.path.parent, active_space(log)
    if space is None or requested is None:
        return
    used = {space.folder(folder), requested.folder(folder)}
    for path in (folder / VECTORS_FOLDER).glob("*"):
        if path not in used:
            remove_path(path)
