"""The Python API under the commands: open a repository, sync, search, status.

with patina_hooks.open(".") as patina:
    patina.sync()
    hits = patina.search("why sqlite", limit=3)
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from patina_hooks.configuration import configuration
from patina_hooks.corpus.facts import counts, events_hash, skipped
from patina_hooks.corpus.log import LOG_FILE, Event, Log, name_text
from patina_hooks.errors import (
    IndexDamaged,
    PatinaError,
    PluginError,
    SettingsError,
    StateError,
    UsageError,
)
from patina_hooks.files import make_private, size_of
from patina_hooks.git import spool
from patina_hooks.git.lock import SyncLock
from patina_hooks.git.repository import Repository
from patina_hooks.models.cache import cut_keys
from patina_hooks.plugins import Plugins
from patina_hooks.search.opening import Opening, open_space
from patina_hooks.search.scry import Hit, Mode, Query, Units, scry
from patina_hooks.search.tuned import remark, tuned_for, weights_for
from patina_hooks.search.vectors import Space, answering_space, projected_space, wanted_space
from patina_hooks.sync import Progress, SyncReport, kept_faults, synchronise
from patina_hooks.types import Fault
from patina_hooks.worker import SYNC_LOCK

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from patina_hooks.gc import Freed
    from patina_hooks.models.encoding import Encoder
    from patina_hooks.pairs.stored import PairKind, ShownPair
    from patina_hooks.projection.staleness import Standing
    from patina_hooks.search.filters import Allowed
    from patina_hooks.search.related import Related
    from patina_hooks.types import Vectors

    Near = Callable[[Vectors, int, frozenset[bytes] | None], list[tuple[bytes, float]]]


@dataclass(frozen=True, slots=True)
class Status:
    """What is indexed and how stale it is.

    events_hash: see `patina_hooks.corpus.facts`. pending: texts that the vector index does not hold yet.
    cut: texts that are longer than the model reads; their beginnings have a vector.
    model, runtime: what answers now, "" before the first vectors. variant: what the user's settings changed
    of the runtime's vectors, see `RuntimeSpec`. projection: "none" where the raw model answers. stale:
    (projection, why) of what `patina oxidize` would train again; warnings: of a projection that is in use
    against the gate, or cannot be used, and of tuned weights that are not used. synced: seconds since 1970 of
    the last sync, None before the first. bytes: the state on disk. skipped: (what, why) of what was not
    read. pair_kinds: kind -> its pairs' count, weight and time range.
    """

    events_hash: str
    sessions: int
    commits: int
    documents: int
    drafts: int
    observations: int
    pairs: int
    pair_kinds: Mapping[str, PairKind]
    pending: int
    cut: int
    truncated: int
    model: str
    runtime: str
    variant: str
    projection: str
    stale: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]
    synced: int | None
    bytes: int
    skipped: tuple[tuple[str, str], ...]
    faults: tuple[Fault, ...]


class Patina:
    """One repository's memory. Not for several threads at once.

    What a question does not need is imported by the method that does: a cold one waits for every import.
    """

    def __init__(
        self, repository: Repository, plugins: Plugins | None = None, opening: Opening | None = None
    ) -> None:
        """opening: the answering model, which somebody has begun to open, and the plugins it is from."""
        self.repository = repository
        self._given = plugins or (opening.plugins if opening else None)
        self._opening = opening
        self._encoders: dict[Space, Encoder] = {}
        self._failed: dict[Space, PluginError] = {}
        self._index: tuple[Space, str, Near] | None = None
        self._log: tuple[int, Log] | None = None
        self._units = Units()
        self._aside: ThreadPoolExecutor | None = None

    def __enter__(self) -> Patina:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of model, index and log; the object may be used again."""
        if self._aside:
            self._aside.shutdown()
            self._aside = None
        self._close_log()
        if self._opening:
            self._opening.wait()
            self._opening = None
        self._encoders.clear()
        self._failed.clear()
        self._index = None

    @cached_property
    def plugins(self) -> Plugins:
        return self._given or Plugins.load()

    def sync(
        self,
        *,
        full: bool = False,
        quick: bool = False,
        most: int | None = None,
        wait: float | None = None,
        progress: Progress | None = None,
    ) -> SyncReport | None:
        """Bring the memory in line with the repository; None where another process does so right now.

        wait: seconds to wait for that other process; None waits for as long as it takes.
        full: derive everything anew but for the cached embeddings.
        quick: see `patina_hooks.sync.synchronise`; the commands that answer do so.
        most: embed nothing now where more texts than this wait (`SyncReport.pending` says how many).
        A model that could not be opened is tried anew.
        Raises `StateError` where the state folder cannot be written.
        """
        self._close_log()  # a damaged one is moved away
        self._failed.clear()
        make_private(self.repository.state)
        lock = SyncLock(self.repository.state / SYNC_LOCK)
        if not lock.acquire(wait):
            return None
        try:
            noted = spool.read(self.repository.state)
            report = synchronise(
                self.repository, full=full, quick=quick, most=most, plugins=self.plugins,
                open_model=self._encoder, progress=progress,
            )  # fmt: skip
            with suppress(OSError):  # what stays unmarked is looked at once more
                spool.mark(self.repository.state, noted.end)
            return report
        finally:
            lock.release()

    def search(
        self,
        text: str,
        *,
        limit: int = 10,
        mode: Mode = "hybrid",
        kinds: tuple[str, ...] = (),
        session: str | None = None,
        since: int | None = None,
        until: int | None = None,
        ref: str | None = None,
        path: str | None = None,
        on_fault: Callable[[str], None] | None = None,
    ) -> list[Hit]:
        """The best observation of each session or commit, best first.

        Answers from what the last sync left; where vectors cannot be had, words alone answer and `on_fault`
        is told why (mode "vector" raises instead). Raises `StateError` before the first sync.
        """
        from patina_hooks.search.filters import allowed

        text, kinds = name_text(text), tuple(map(name_text, kinds))
        session = name_text(session) if session else None
        query = Query(text, limit, mode, kinds, session, since, until, ref, path)
        with self._reading() as log:
            only = allowed(
                log.connection, self.repository, kinds=kinds, session=session, since=since, until=until,
                ref=ref, path=path, folder=log.fact("folder"),
            )  # fmt: skip
            if mode == "lexical":
                return scry(log.connection, query, only, None, units=self._units)
            try:
                return self._ask(log, query, only)
            except (PluginError, IndexDamaged) as error:
                if mode == "vector":
                    raise
                if on_fault:
                    on_fault(f"answering by words alone: {error}")
                return scry(log.connection, query, only, None, units=self._units)

    def related(self, path: str, *, limit: int = 10) -> Related:
        """What changed together with a file, and which sessions touched it."""
        from patina_hooks.search.related import related

        with self._reading() as log:
            return related(log.connection, path, limit)

    def status(self) -> Status:
        """Counts, staleness and faults. Raises `StateError` before the first sync."""
        from patina_hooks.pairs.stored import pair_kinds

        with self._reading() as log:
            space = answering_space(log)
            synced = log.fact("synced")
            events = events_hash(log.connection)
            stands = self._standing(space, events)
            return Status(
                events_hash=events,
                model=space.model if space else "",
                runtime=space.runtime if space else "",
                variant=space.variant if space else "",
                projection=stands.name,
                stale=stands.stale,
                warnings=tuple(f"{what}; {command}" for what, command in self._warnings(stands, space)),
                pair_kinds=pair_kinds(log.connection),
                cut=self._cut(log, space) if space else 0,
                synced=int(synced) if synced else None,
                bytes=size_of(self.repository.state),
                skipped=tuple((what, why) for what, why in skipped(log.connection)),
                faults=tuple(dict.fromkeys([*kept_faults(log), *self.plugins.faults])),
                **counts(log.connection),
            )

    def _standing(self, space: Space | None, events: str) -> Standing:
        """How projections stand; what hinders telling is among the faults of a sync."""
        # What plans and reports need is no question's business.
        from patina_hooks.projection.staleness import Standing, standing

        recipe, used = configuration(self.repository).recipe, space.projection if space else ""
        try:
            wanted = wanted_space(self.plugins, recipe) if recipe else None
            return standing(self.plugins, recipe, self.repository.state, events, wanted, used)
        except PatinaError as error:
            return Standing(used[:16] or "none", (), ((str(error), error.hint or "patina doctor"),))

    def _warnings(self, stands: Standing, space: Space | None) -> Iterator[tuple[str, str]]:
        """What is to be said of what is in use, with the command that changes it."""
        yield from stands.warnings
        if space and (why := tuned_for(self.repository.state, space)[1]):
            yield remark(why), "patina eval --tune"

    def _cut(self, log: Log, space: Space) -> int:
        """How many live texts the model did not read to their ends."""
        ask = "SELECT count(*) FROM text WHERE key = ? AND live > 0"
        keys = cut_keys(self.repository.state, space.fingerprint)
        return sum(log.connection.execute(ask, (key,)).fetchone()[0] for key in keys)

    def events(self, *, limit: int = 20, kind: str | None = None) -> list[Event]:
        """What was recorded, newest first."""
        with self._reading() as log:
            return log.events(limit, name_text(kind) if kind else None)

    def pairs(self, *, kind: str | None = None, limit: int = 10) -> list[ShownPair]:
        """Training pairs with their texts and evidence, of the newest session, commit or folder first.

        Raises `UsageError` for a kind that no generator makes.
        """
        from patina_hooks.pairs.stored import pair_kinds, shown_pairs

        with self._reading() as log:
            known = {spec.name for spec in self.plugins.pair_generators()} | pair_kinds(log.connection).keys()
            if kind is not None and kind not in known:
                hint = f"one of {', '.join(sorted(known))}"
                raise UsageError(f"no generator makes pairs of the kind {kind}", hint=hint)
            return shown_pairs(log.connection, kind, limit)

    def gc(self) -> Freed:
        """Free what no live ref needs. Raises `StateError` while another process writes for a minute.

        Where nobody can tell what the recipe asks for (a plugin is away, a name is wrong), what other models
        made stays: a change of models may be half done. `Freed.kept` says why.
        """
        from patina_hooks.gc import collect

        lock = SyncLock(self.repository.state / SYNC_LOCK)
        if not lock.acquire(60):
            raise StateError("another patina is at work", hint="try again in a while")
        try:
            with Log(self.repository.state) as log:
                try:
                    wanted = self._wanted()
                except PatinaError as error:
                    return replace(collect(log, self.repository.state, None), kept=str(error))
                return collect(log, self.repository.state, wanted)
        finally:
            lock.release()

    def _wanted(self) -> Space:
        """The space that the recipe asks for. Raises `PatinaError` where that cannot be told now."""
        said = configuration(self.repository)
        if said.recipe is None:
            raise SettingsError("; ".join(fault.error for fault in said.faults))
        wanted = wanted_space(self.plugins, said.recipe)
        return projected_space(wanted, self.plugins, said.recipe, self.repository.state)[0]

    def _ask(self, log: Log, query: Query, only: Allowed) -> list[Hit]:
        """Words and vectors together. Raises `IndexDamaged` or `PluginError` where vectors cannot be had."""
        space = answering_space(log)
        if space is None:
            raise IndexDamaged("no vectors are here yet", hint="patina sync")
        encode = self._encoding(space, query)

        def nearest(limit: int, texts: frozenset[bytes] | None) -> list[tuple[bytes, float]]:
            search = self._open_index(log, space)
            return search(encode(), limit, texts)

        weights = weights_for(self.repository.state, space)
        try:
            return scry(log.connection, query, only, nearest, weights, self._units)
        except IndexDamaged:
            # A sync may have merged files between our reading of its manifest and of them.
            self._index = None
            return scry(log.connection, query, only, nearest, weights, self._units)

    def _encoding(self, space: Space, query: Query) -> Callable[[], Vectors]:
        """Gives the question's vector when it is needed: words are asked meanwhile.

        A model that is open reads the question in a thread beside; one that is not is opened in this thread,
        since that imports.
        """

        def encode() -> Vectors:
            vector: Vectors = self._encoder(space).encode([query.text], role="query").vectors[0]
            return vector

        if space not in self._encoders or query.mode != "hybrid":
            return cache(encode)
        # 4 ms to import: a cold question does without.
        from concurrent.futures import ThreadPoolExecutor

        self._aside = self._aside or ThreadPoolExecutor(1)
        return self._aside.submit(encode).result

    def _open_index(self, log: Log, space: Space) -> Near:
        """The search of the index as the last sync left it, for a model's own vector [d]; it stays open from
        one question to the next."""
        generation = log.fact("generation")
        if self._index is None or self._index[:2] != (space, generation):
            index = space.open(self.plugins, self.repository.state)
            project = space.open_projection(self.plugins, self.repository.state)

            def search(query: Vectors, most: int, only: frozenset[bytes] | None) -> list[tuple[bytes, float]]:
                return index.search(project(query[None])[0] if project else query, most, only)

            self._index = (space, generation, search)
        return self._index[2]

    def _encoder(self, space: Space) -> Encoder:
        """A model that cannot be opened may take long to say so (a server that stalls): once is enough."""
        if space in self._failed:
            raise self._failed[space]
        if space not in self._encoders:
            try:
                early = self._opening.encoder(space) if self._opening else None
                self._encoders[space] = early or open_space(self.plugins, space)
            except PluginError as error:
                self._failed[space] = error
                raise
        return self._encoders[space]

    @contextmanager
    def _reading(self) -> Iterator[Log]:
        """One consistent view of the log, which stays open from one question to the next."""
        path = self.repository.state / LOG_FILE
        inode = path.stat().st_ino if path.is_file() else 0
        if self._log is None or self._log[0] != inode:
            self._close_log()
            self._log = (inode, Log(self.repository.state, create=False))
        log = self._log[1]
        try:
            with log.reading():
                yield log
        except sqlite3.DatabaseError:
            self._log = None
            with log:  # closes it, and says what is wrong with the file
                raise

    def _close_log(self) -> None:
        if self._log is not None:
            self._log[1].close()
            self._log = None
            self._units = Units()


def open(path: str | Path = ".") -> Patina:
    """The memory of the repository that encloses `path`. Raises `NotARepository`."""
    return Patina(Repository.open(Path(path)))
