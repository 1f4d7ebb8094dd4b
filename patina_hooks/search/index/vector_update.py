"""Bringing the vectors of a space in line with the live texts."""

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
    """Bring a space in line with the live texts of a collection; the caller holds the sync lock.

    log: the collection's; its vectors lie in the same folder, while embeddings are those of the state folder.

    open_encoder is only called when some text is not embedded yet; project: the space's projection, opened.
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
        """most: leave it all for later where more texts than this wait for a model; seconds: leave for later
        what is not done after about so long; retry: try texts again that the model refused.

        Raises `PluginError` where the model cannot be had, after what came before was indexed."""
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
            # A page of the cache, which begins anew, or a file that was altered while we worked.
            self._result.rebuilt = str(damage)
            remove_path(self._space.folder(self._folder))
            self._bring_in_line()
        return self._result

    def _bring_in_line(self) -> None:
        with closing(EmbeddingCache(self._state, self._space.fingerprint)) as cache:
            index = self._open_index()
            self._try_again(cache)
            unseen = not self._log.fact("verified")
            if unseen:
                index.verify()  # what was there before is looked at whole, once
            if self._is_answering():
                self._answer()  # a first index answers with what it has
            elif not self._fill(index, cache):
                return
            if unseen or self._is_stale(index):
                self._compare(index, cache)
            self._follow(index, cache)

    # --- the usual case: what is missing, what is left over ---------------------------------------

    def _follow(self, index: VectorIndex, cache: EmbeddingCache) -> None:
        total, done = count_waiting(self._db), 0
        for keys, more in self._missing():
            added = self._add(keys, index, cache, more=more)
            self._mark(index, [(1, key) for key in added])
            done += len(added)
            self._progress("embedding", done, total)
            if self._failure or self._is_late():
                break
        self._result.pending = total - done
        left = read_dead_keys(self._db)
        if left:
            index.remove(left)
            self._mark(index, [(0, key) for key in left], forget=True)
            self._result.removed += len(left)
        if self._failure:
            raise self._failure
        if not self._result.pending:
            self._tend(index)

    def _tend(self, index: VectorIndex) -> None:
        """Let an index of a plugin do work that it put off."""
        from patina_hooks.search.index.guarded_index import GuardedIndex

        if isinstance(index, GuardedIndex):
            before = index.stats().generation
            self._result.unfinished = index.tend()
            if index.stats().generation != before:
                self._mark(index, [])

    def _is_late(self) -> bool:
        return time.monotonic() > self._end

    def _missing(self) -> Iterator[tuple[list[bytes], bool]]:
        """Texts without a vector, newest first, in chunks, and whether more may follow: a small one first,
        so that answers come early."""
        size = _FIRST_CHUNK
        while keys := self._newest(size):
            yield keys, len(keys) == size
            size = _CHUNK

    def _add(
        self, keys: list[bytes], index: VectorIndex, cache: EmbeddingCache, *, more: bool
    ) -> list[bytes]:
        """Add texts to the index; gives those that there was time for. more: whether others follow."""
        added = self._embed(keys, cache, more)
        if added:
            index.upsert(added, self._vectors(added, cache))
            self._result.added += len(added)
        return added

    def _newest(self, limit: int) -> list[bytes]:
        return read_waiting_keys(self._db, limit)

    def _embed(self, keys: list[bytes], cache: EmbeddingCache, more: bool) -> list[bytes]:
        """Have the model read what the cache does not hold; gives the texts that have an embedding then.

        In pieces of about two seconds, each kept at once. Where the model fails, what it read before counts.
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
        """Those of the missing that fill what the model takes at once; the rest goes with what follows."""
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
        """Embed the first piece; gives how many texts that were."""
        encoder = self._opened()
        keys, begun = missing[: self._piece.size], time.monotonic()
        embedded = embed(cache, encoder, keys, read_live_texts(self._db, keys), role="passage")
        if embedded.halved:
            self._piece.shrink(len(keys))
        else:
            self._piece.learn(len(keys), time.monotonic() - begun)
        self._result.encoded += len(keys)
        self._result.cut += embedded.cut
        self._result.refused |= embedded.refused
        return len(keys)

    def _try_again(self, cache: EmbeddingCache) -> None:
        """Have texts embedded that other engine versions refused, or all that were refused."""
        keys = cache.forget_refused(self._read_versions)
        if keys:
            with self._log.writing():
                set_indexed(self._db, [(0, key) for key in keys])

    def _vectors(self, keys: list[bytes], cache: EmbeddingCache) -> Vectors:
        vectors = cache.get(keys, self._space.dimensions)
        if self._project is None:
            return vectors
        # What has the zero vector is like nothing, also where a projection moves the origin.
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
        """A write that was killed between files and log, or files of another day: compare, do not trust."""
        return self._log.fact("generation", "0") != str(index.stats().generation)

    def _compare(self, index: VectorIndex, cache: EmbeddingCache) -> None:
        """What the index holds and the cache does not was read for a cache that is gone: it is read again."""
        have = index.keys()
        known = read_text_states(self._db)
        index.remove(sorted(key for key in have if key not in known))
        have = have.difference(cache.missing(sorted(have), self._space.dimensions))
        changes = [(int(key in have), key) for key, state in known.items() if (key in have) != state.indexed]
        self._mark(index, changes)
        with self._log.writing():
            self._log.remember("verified", "yes")

    def _fill(self, index: VectorIndex, cache: EmbeddingCache) -> bool:
        """Everything that lives, in a space that does not answer yet; goes on where it was interrupted.

        Gives whether there was time for all of it: then this space answers.
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
        """What was learned before, or kept in another kind of index, is made again from the cache, if ever;
        other models' vectors stay for a switch back, until `patina gc`."""
        own = self._space.folder(self._folder)
        for folder in own.parent.glob(f"{self._space.fingerprint}-*"):
            if folder != own:
                remove_path(folder)

    def _is_answering(self) -> bool:
        """Whether no other vectors answer; a space may differ in what is put before questions only."""
        answering = active_space(self._log)
        return answering is None or answering.folder(self._folder) == self._space.folder(self._folder)

    def _answer(self) -> None:
        stored = json.dumps(asdict(self._space))
        if self._log.fact("space") != stored:
            with self._log.writing():
                self._log.remember("space", stored)
