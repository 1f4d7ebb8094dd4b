"""Update the vectors of a space from the live texts."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from patina_hooks.errors import IndexDamaged, PluginError
from patina_hooks.models.embedding import PieceSize, embed
from patina_hooks.plugins.manager import Plugins
from patina_hooks.search.index.embedded import Embedded
from patina_hooks.search.index.probing import makers_key
from patina_hooks.search.index.spaces import Project, VectorSpace, active_space
from patina_hooks.store.embeddings import EmbeddingCache
from patina_hooks.store.log import Log
from patina_hooks.store.search.indexed_texts import (
    count_live,
    count_waiting,
    delete_dead_texts,
    read_dead_keys,
    read_live_keys,
    read_live_texts,
    read_text_states,
    read_waiting_keys,
    set_indexed,
    set_live_indexed,
)
from patina_hooks.system.files import remove_path

if TYPE_CHECKING:
    from patina_hooks.models.encoding import Encoder
    from patina_hooks.specs.vectors import VectorIndex, Vectors

_FIRST_CHUNK = 256
_CHUNK = 1_024
Progress = Callable[[str, int, int], None]


class VectorUpdate:
    """Updates a space from the live texts of a collection; the caller holds the sync lock.

    log: the collection's; its vectors are in the same folder, embeddings in the state folder.
    open_encoder: only called when a text is not embedded yet.
    project: the open projection of the space.
    """

    def __init__(
        self,
        log: Log,
        state: Path,
        plugins: Plugins,
        space: VectorSpace,
        open_encoder: Callable[[VectorSpace], Encoder],
        progress: Progress,
        project: Project | None = None,
    ) -> None:
        self._log = log
        self._db = log.connection
        self._state = state
        self._folder = log.path.parent
        self._plugins = plugins
        self._space = space
        self._open_encoder = open_encoder
        self._encoder: Encoder | None = None
        self._project = project
        self._progress = progress
        self._result = Embedded()
        self._piece = PieceSize()
        self._failure: PluginError | None = None
        self._end = math.inf
        self._read_versions = ""

    def run(self, *, most: int | None = None, seconds: float | None = None, retry: bool = False) -> Embedded:
        """Update the space.

        Args:
            most: do nothing if more texts than this wait for the model.
            seconds: stop after about this time; a later update continues.
            retry: embed texts again that the model refused.

        Raises:
            PluginError: the model is not available; earlier texts are indexed.
        """
        self._read_versions = "" if retry else makers_key(self._plugins, self._space)
        if most is not None:
            answers = self._is_answering()
            waiting = (count_waiting if answers else count_live)(self._db)
            if waiting > most:
                self._result.pending, self._result.untried = waiting, True
                return self._result
        self._end = math.inf if seconds is None else time.monotonic() + seconds
        try:
            self._bring_in_line()
        except IndexDamaged as damage:
            # A damaged page of the cache, which starts empty, or a file that was altered meanwhile.
            self._result.rebuilt = str(damage)
            remove_path(self._space.folder(self._folder))
            self._bring_in_line()
        return self._result

    def _bring_in_line(self) -> None:
        with closing(EmbeddingCache(self._state, self._space.fingerprint)) as cache:
            index = self._open_index()
            self._try_again(cache)
            is_unverified = not self._log.fact("verified")
            if is_unverified:
                index.verify()  # older files are checked completely, once
            if self._is_answering():
                self._answer()  # a first index answers with what it has
            elif not self._fill(index, cache):
                return
            if is_unverified or self._is_stale(index):
                self._compare(index, cache)
            self._follow(index, cache)

    # --- the usual case: what is missing, what is left over ---------------------------------------

    def _follow(self, index: VectorIndex, cache: EmbeddingCache) -> None:
        total, finished = count_waiting(self._db), 0
        for keys, more in self._missing():
            added = self._add(keys, index, cache, more=more)
            self._mark(index, [(1, key) for key in added])
            finished += len(added)
            self._progress("embedding", finished, total)
            if self._failure or self._is_late():
                break
        self._result.pending = total - finished
        dead = read_dead_keys(self._db)
        if dead:
            index.remove(dead)
            self._mark(index, [(0, key) for key in dead], forget=True)
            self._result.removed += len(dead)
        if self._failure:
            raise self._failure
        if not self._result.pending:
            self._tend(index)

    def _tend(self, index: VectorIndex) -> None:
        """Let an index of a plugin do postponed work."""
        from patina_hooks.search.index.guarded_index import GuardedIndex

        if isinstance(index, GuardedIndex):
            before = index.stats().generation
            self._result.unfinished = index.tend()
            if index.stats().generation != before:
                self._mark(index, [])

    def _is_late(self) -> bool:
        return time.monotonic() > self._end

    def _missing(self) -> Iterator[tuple[list[bytes], bool]]:
        """Yield chunks of texts without a vector, newest first, and whether more may follow.

        The first chunk is small, so that first answers come early.
        """
        size = _FIRST_CHUNK
        while keys := self._newest(size):
            yield keys, len(keys) == size
            size = _CHUNK

    def _add(
        self, keys: list[bytes], index: VectorIndex, cache: EmbeddingCache, *, more: bool
    ) -> list[bytes]:
        """Add texts to the index, and return those added in time. more: whether others follow."""
        added = self._embed(keys, cache, more)
        if added:
            index.upsert(added, self._vectors(added, cache))
            self._result.added += len(added)
        return added

    def _newest(self, limit: int) -> list[bytes]:
        return read_waiting_keys(self._db, limit)

    def _embed(self, keys: list[bytes], cache: EmbeddingCache, more: bool) -> list[bytes]:
        """Embed texts that are not cached, and return those that have an embedding then.

        Batches take about two seconds and are stored at once; if the model fails, earlier batches count.
        """
        missing = cache.missing(keys, self._space.dimensions)
        try:
            rest = self._whole(missing, keys) if more else missing
            while rest and not (self._result.encoded and self._is_late()):
                rest = rest[self._encode(rest, cache) :]
        except PluginError as error:
            self._failure = error
        lacking = set(cache.missing(missing, self._space.dimensions))
        return [key for key in keys if key not in lacking]

    def _whole(self, missing: list[bytes], keys: list[bytes]) -> list[bytes]:
        """Return the missing texts that fill whole batches of the model; the rest joins the next chunk."""
        if not missing:
            return missing
        whole = len(missing) // self._opened().texts_at_once * self._opened().texts_at_once
        return missing[:whole] if whole or len(missing) < len(keys) else missing

    def _opened(self) -> Encoder:
        if self._encoder is None:
            self._encoder = self._open_encoder(self._space)
            self._piece = PieceSize(self._encoder.texts_at_once)
        return self._encoder

    def _encode(self, missing: list[bytes], cache: EmbeddingCache) -> int:
        """Embed the first batch, and return its number of texts."""
        encoder = self._opened()
        keys, start = missing[: self._piece.size], time.monotonic()
        embedded = embed(cache, encoder, keys, read_live_texts(self._db, keys), role="passage")
        if embedded.halved:
            self._piece.shrink(len(keys))
        else:
            self._piece.learn(len(keys), time.monotonic() - start)
        self._result.encoded += len(keys)
        self._result.cut += embedded.cut
        self._result.refused |= embedded.refused
        return len(keys)

    def _try_again(self, cache: EmbeddingCache) -> None:
        """Queue texts that other engine versions refused, or all refused texts."""
        keys = cache.forget_refused(self._read_versions)
        if keys:
            with self._log.writing():
                set_indexed(self._db, [(0, key) for key in keys])

    def _vectors(self, keys: list[bytes], cache: EmbeddingCache) -> Vectors:
        vectors = cache.get(keys, self._space.dimensions)
        if self._project is None:
            return vectors
        # A zero vector stays zero, also if a projection moves the origin.
        return self._project(vectors) * vectors.any(axis=1, keepdims=True)

    def _mark(self, index: VectorIndex, rows: list[tuple[int, bytes]], *, forget: bool = False) -> None:
        with self._log.writing():
            if forget:
                delete_dead_texts(self._db, [key for _, key in rows])
            else:
                set_indexed(self._db, rows)
            self._log.remember("generation", str(index.stats().generation))

    # --- repair and change of space ---------------------------------------------------------------

    def _open_index(self) -> VectorIndex:
        try:
            index = self._space.open(self._plugins, self._folder)
            index.stats()
        except IndexDamaged as damage:
            self._result.rebuilt = str(damage)
            remove_path(self._space.folder(self._folder))
            index = self._space.open(self._plugins, self._folder)
        return index

    def _is_stale(self, index: VectorIndex) -> bool:
        """Return whether files and log differ, after a killed write or with restored files."""
        return self._log.fact("generation", "0") != str(index.stats().generation)

    def _compare(self, index: VectorIndex, cache: EmbeddingCache) -> None:
        """Compare index and log; texts of the index that are not cached are embedded again."""
        have = index.keys()
        states = read_text_states(self._db)
        index.remove(sorted(key for key in have if key not in states))
        have = have.difference(cache.missing(sorted(have), self._space.dimensions))
        changes = [(int(key in have), key) for key, state in states.items() if (key in have) != state.indexed]
        self._mark(index, changes)
        with self._log.writing():
            self._log.remember("verified", "yes")

    def _fill(self, index: VectorIndex, cache: EmbeddingCache) -> bool:
        """Add all live texts to a space that is not active yet, and resume after an interruption.

        Returns:
            Whether all texts were added in time: then the space is active.
        """
        live = read_live_keys(self._db)
        have = index.keys()
        have = have.difference(cache.missing(sorted(have), self._space.dimensions))
        index.remove(sorted(index.keys().difference(live)))
        todo = [key for key in live if key not in have]
        total = len(todo)
        while todo:
            chunk, todo = todo[:_CHUNK], todo[_CHUNK:]
            added = set(self._add(chunk, index, cache, more=bool(todo)))
            todo = [key for key in chunk if key not in added] + todo
            self._progress("embedding", total - len(todo), total)
            if self._failure:
                raise self._failure
            if self._is_late():
                break
        self._result.pending = len(todo)
        if self._result.pending:
            return False
        with self._log.writing():
            set_live_indexed(self._db)
            self._log.remember("generation", str(index.stats().generation))
            self._log.remember("space", json.dumps(asdict(self._space)))
        self._free_other_spaces()
        return True

    def _free_other_spaces(self) -> None:
        """Remove spaces of the same model, which can be made again from the cache.

        Vectors of other models stay for a switch back, until `patina gc`.
        """
        own = self._space.folder(self._folder)
        for folder in own.parent.glob(f"{self._space.fingerprint}-*"):
            if folder != own:
                remove_path(folder)

    def _is_answering(self) -> bool:
        """Return whether no other vectors are active; spaces may differ in the prefix of queries only."""
        answering = active_space(self._log)
        return answering is None or answering.folder(self._folder) == self._space.folder(self._folder)

    def _answer(self) -> None:
        stored = json.dumps(asdict(self._space))
        if self._log.fact("space") != stored:
            with self._log.writing():
                self._log.remember("space", stored)
