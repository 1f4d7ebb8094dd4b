"""The Python API under the commands: open a repository, sync, search, status.

with patina_hooks.open(".") as patina:
    patina.sync()
    hits = patina.search("why sqlite", limit=3)
"""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from patina_hooks.errors import PatinaError, SettingsError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime
    from os import PathLike

    from patina_hooks.git.repository import Repository
    from patina_hooks.pairs.stored import ShownPair
    from patina_hooks.plugins.manager import Plugins
    from patina_hooks.search.engine import SearchEngine
    from patina_hooks.search.index.spaces import VectorSpace
    from patina_hooks.search.opening import Opening
    from patina_hooks.search.query import Hits, Mode
    from patina_hooks.search.related import Related
    from patina_hooks.sessions import Started
    from patina_hooks.specs.plugins import RecordedError
    from patina_hooks.store.events import Event
    from patina_hooks.store.facts import CorpusFacts
    from patina_hooks.store.log import Log
    from patina_hooks.upkeep.events import EventQueue
    from patina_hooks.upkeep.gc import AbsentResults, Freed
    from patina_hooks.upkeep.status import Status
    from patina_hooks.upkeep.sync import Progress, SyncReport


class Patina:
    """One repository's memory, for any thread, but not for several at once.

    Methods import what only they need: the first search of a process waits for every import.
    """

    def __init__(
        self, repository: Repository, plugins: Plugins | None = None, opening: Opening | None = None
    ) -> None:
        """Wrap a repository.

        Args:
            repository: the repository.
            plugins: the loaded plugins; by default they are loaded when needed.
            opening: the model of the active space, already being opened, and its plugins.
        """
        self.repository = repository
        self._loaded_plugins = plugins or (opening.plugins if opening else None)
        self._opening = opening
        self._facts: tuple[Log, int, CorpusFacts] | None = None  # of one connection
        self._undelivered: list[EventQueue] = []

    def __enter__(self) -> Patina:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close model, index and log; the object may be used again."""
        self._engine.close()
        self._facts = None

    @cached_property
    def plugins(self) -> Plugins:
        """The plugins that are loaded."""
        from patina_hooks.plugins.manager import Plugins

        return self._loaded_plugins or Plugins.load()

    @cached_property
    def _engine(self) -> SearchEngine:
        from patina_hooks.search.engine import SearchEngine

        return SearchEngine(self, self._opening)

    def sync(
        self,
        *,
        full: bool = False,
        quick: bool = False,
        words_only: bool = False,
        most: int | None = None,
        wait: float | None = None,
        progress: Progress | None = None,
        deliver: bool = True,
    ) -> SyncReport | None:
        """Update the index from the repository.

        A model that could not be opened is tried again.

        Args:
            full: rebuild everything except the cached embeddings.
            quick: see `patina_hooks.upkeep.sync.synchronise`; commands that answer use it.
            words_only: see `synchronise`.
            most: embed nothing now if more texts than this are pending (`SyncReport.pending`).
            wait: seconds to wait for another process that is syncing; None waits until it ends.
            progress: called with stage, done and total.
            deliver: call the event hooks of plugins before this returns; False keeps the events for
                `deliver_events`, for a caller that holds a lock or has to answer first.

        Returns:
            The report, None where another process is still syncing.

        Raises:
            StateError: the state folder cannot be written.
        """
        from patina_hooks.system.files import make_private

        self._engine.close_logs()  # a damaged one is moved away
        self._facts = None
        self._engine.models.forget_failures()
        make_private(self.repository.state)
        self._copy_sessions()
        report = self._sync_slice(full, quick, words_only, most, wait, progress, deliver)
        while report and report.postponed and most is None:
            counted = _continue_counts(progress, report.indexed)
            later = self._sync_slice(False, True, False, None, wait, counted, deliver)
            if later is None:
                return report
            report = report.then(later)
        return report

    def start_session(
        self,
        title: str,
        *,
        adapter: str | None = None,
        moment: datetime | None = None,
        commit: str | None = None,
        continues: str | None = None,
    ) -> Started:
        """Start a session, also one that began earlier; see `patina_hooks.sessions.start`."""
        from patina_hooks import sessions

        return sessions.start(
            self.repository, title, adapter=adapter, moment=moment, commit=commit, continues=continues
        )

    def _copy_sessions(self) -> None:
        """Copy documents of active sessions; a sync continues if that fails."""
        from patina_hooks.text.session_ids import SESSIONS_FOLDER

        if (self.repository.common / SESSIONS_FOLDER).is_dir():
            from patina_hooks.sessions.upkeep import copy_documents

            with suppress(PatinaError):
                copy_documents(self.repository)

    def _sync_slice(
        self,
        full: bool,
        quick: bool,
        words_only: bool,
        most: int | None,
        wait: float | None,
        progress: Progress | None,
        deliver: bool,
    ) -> SyncReport | None:
        from patina_hooks.errors import LockHeld
        from patina_hooks.git import spool
        from patina_hooks.upkeep.sync import SLICE_SECONDS, synchronise

        noted = spool.read_spool(self.repository.state)
        try:
            report = synchronise(
                self.repository, full=full, quick=quick, words_only=words_only, most=most,
                seconds=SLICE_SECONDS, wait=wait, plugins=self.plugins,
                open_model=self._engine.models.open, progress=progress,
                deliver=None if deliver else self._keep_events,
            )  # fmt: skip
        except LockHeld:
            return None
        with suppress(OSError):  # unmarked events are read again
            spool.set_offset(self.repository.state, noted.end)
        return report

    def _keep_events(self, events: EventQueue) -> tuple[RecordedError, ...]:
        if not events.is_empty():
            self._undelivered.append(events)
        return ()

    def deliver_events(self) -> tuple[RecordedError, ...]:
        """Call the event hooks for events that `sync(deliver=False)` kept; return their errors."""
        if not self._undelivered:
            return ()
        from patina_hooks.upkeep.hook_delivery import deliver_events

        faults: list[RecordedError] = []
        while self._undelivered:
            faults += deliver_events(self.repository, self.plugins, self._undelivered.pop(0))
        return tuple(faults)

    def search(
        self,
        text: str,
        *,
        limit: int = 10,
        mode: Mode = "hybrid",
        collections: str | Iterable[str] = (),
        kinds: str | Iterable[str] = (),
        session: str | None = None,
        since: float | None = None,
        until: float | None = None,
        ref: str | None = None,
        path: str | PathLike[str] | None = None,
        fields: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        rewriters: Iterable[str] | None = None,
        rerankers: Iterable[str] | None = None,
        filters: Iterable[str] | None = None,
        on_fault: Callable[[str], None] | None = None,
    ) -> Hits:
        """Return the best observation of each session, commit or file; [] where nothing matches.

        The hits of each collection are a block, best first: history (sessions and commits), then docs.
        `Hits` is a list; its `close_match` states whether the best hits come close to the question, and its
        `reason` why there is none.

        The answer comes from the last sync; where vectors are not available, only words are searched and
        `on_fault` gets the reason (mode "vector" raises instead).

        Args:
            text: the question.
            limit: hits of each collection, 1 or more.
            mode: "hybrid" (words and vectors), "vector" or "lexical".
            collections: those to search, by default all.
            kinds: kinds of observations, or one kind ("decision"). All filters have to hold together.
            session: the id of a session, or its unique beginning: its document and its commits.
            since: seconds since 1970; a document without a time is excluded.
            until: seconds since 1970, excluded; a document without a time is excluded.
            ref: a branch, tag or commit: what it reaches.
            path: a file or folder, relative to the root of the work tree or absolute: commits that touched
                it, and their sessions.
            fields: observations with all of these fields and values.
            rewriters: names of plugins' query rewriters; None for those of the recipe.
            rerankers: names of plugins' rerankers; None for those of the recipe. They do not change
                `Hit.score`.
            filters: names of plugins' filters of results; None for those of the recipe.
            on_fault: called with the reason where vectors are not available.

        Raises:
            UsageError: an argument is invalid (an unknown kind, field, session, ref or mode, a path outside).
            PluginError: a name that no plugin provides.
            StateError: before the first sync.
        """
        from patina_hooks.search.filters.arguments import checked_query

        query = checked_query(
            self.repository.root, text, limit=limit, mode=mode, collections=collections, kinds=kinds,
            session=session, since=since, until=until, ref=ref, path=path, fields=fields,
            rewriters=rewriters, rerankers=rerankers, filters=filters,
        )  # fmt: skip
        return self._engine.search(query, on_fault)

    def related(self, path: str | PathLike[str], *, limit: int = 10) -> Related:
        """List files that changed together with a file, and sessions that touched it.

        Args:
            path: relative to the root of the work tree, or absolute; the file may have been deleted.
            limit: the most of each.

        Raises:
            UsageError: no recorded commit touched the path.
            StateError: before the first sync.
        """
        from patina_hooks.search.filters.arguments import checked_limit, from_root
        from patina_hooks.search.related import related

        with self._engine.reading() as log:
            root = self.repository.root
            return related(log.connection, root, from_root(root, path), checked_limit(limit))

    def status(self) -> Status:
        """Return counts, staleness and errors.

        Raises:
            StateError: before the first sync.
        """
        # Imported here: a search does not need it.
        from patina_hooks.upkeep.status import build_status

        with self._engine.reading() as log:
            return build_status(log, self.repository, self.plugins, self._facts_of(log))

    def has_head(self) -> bool:
        """Return whether the checked-out commit is recorded; True while there is none."""
        from patina_hooks.store.corpus.commits import has_commit

        head = self.repository.head()
        with self._engine.reading() as log:
            return head is None or has_commit(log.connection, head)

    def is_current(self) -> bool:
        """Return whether all known events are recorded.

        These are the checked-out commit, and events of hooks and session commands. False while another
        process has not reached them: `sync` returns None then, and an answer may miss the newest.
        """
        from patina_hooks.git import spool

        return self.has_head() and spool.pending_bytes(self.repository.state) == 0

    def events(self, *, limit: int = 20, kind: str | None = None) -> list[Event]:
        """List recorded events, newest first.

        Args:
            limit: the most to return, 1 or more.
            kind: only events of this kind (docs/json.md lists them).

        Raises:
            UsageError: the limit is below 1.
            StateError: before the first sync.
        """
        from patina_hooks.search.filters.arguments import checked_limit, checked_text
        from patina_hooks.store.events import read_events

        with self._engine.reading() as log:
            return read_events(
                log.connection, checked_limit(limit), checked_text("kind", kind) if kind else None
            )

    def pairs(self, *, kind: str | None = None, limit: int = 10) -> list[ShownPair]:
        """List training pairs with their texts and evidence, newest session, commit or folder first.

        Args:
            kind: only pairs of this kind.
            limit: the most to return, 1 or more.

        Raises:
            UsageError: no generator makes this kind, or the limit is below 1.
            StateError: before the first sync.
        """
        from patina_hooks.pairs.stored import pair_kinds, shown_pairs
        from patina_hooks.search.filters.arguments import checked_limit

        with self._engine.reading() as log:
            kinds = {spec.name for spec in self.plugins.pair_generators()} | pair_kinds(log.connection).keys()
            if kind is not None and kind not in kinds:
                hint = f"one of {', '.join(sorted(kinds))}"
                raise UsageError(f"no generator makes pairs of the kind {kind}", hint=hint)
            return shown_pairs(log.connection, kind, checked_limit(limit))

    def gc(self) -> Freed:
        """Remove data that no branch or tag references, and results of plugins that are not installed.

        Where the model of the recipe cannot be determined (a plugin is not installed, a name is wrong),
        vectors of other models stay: a change of models may be in progress. `Freed.kept` has the reason.

        Raises:
            StateError: another process has been writing for a minute.
        """
        from dataclasses import replace

        absent = self._drop_absent()
        freed = self._collect()
        return replace(freed, observations=freed.observations + absent.observations, pairs=absent.pairs)

    def _drop_absent(self) -> AbsentResults:
        """Remove results of extractors and pair generators that are not installed."""
        from patina_hooks.store.log import Log
        from patina_hooks.upkeep.gc import count_absent_results
        from patina_hooks.upkeep.sync import synchronise

        with Log(self.repository.state) as log:
            absent = count_absent_results(log, self.plugins)
        if absent.providers:
            synchronise(
                self.repository, quick=True, keep_absent=False, most=0, wait=60, plugins=self.plugins,
                open_model=self._engine.models.open,
            )  # fmt: skip
        return absent

    def _collect(self) -> Freed:
        """Remove data that no branch or tag references; raises as `gc`."""
        from dataclasses import replace

        from patina_hooks.errors import StateError
        from patina_hooks.git.lock import SYNC_LOCK, SyncLock
        from patina_hooks.store.log import Log
        from patina_hooks.upkeep.gc import collect_garbage

        lock = SyncLock(self.repository.state / SYNC_LOCK)
        if not lock.acquire(60):
            raise StateError(f"{lock.holder()} has been writing for a minute", hint="patina doctor")
        try:
            with Log(self.repository.state) as log:
                try:
                    space = self._requested_space()
                except PatinaError as error:
                    return replace(collect_garbage(log, self.repository.state, None), kept=str(error))
                return collect_garbage(log, self.repository.state, space)
        finally:
            lock.release()

    def _requested_space(self) -> VectorSpace:
        """Return the vector space of the recipe; raise `PatinaError` where it cannot be determined."""
        from patina_hooks.config.configuration import load_configuration
        from patina_hooks.search.index.spaces import projected_space, requested_space

        loaded = load_configuration(self.repository)
        if loaded.recipe is None:
            raise SettingsError("; ".join(fault.error for fault in loaded.faults))
        space = requested_space(self.plugins, loaded.recipe, self.repository.state)
        return projected_space(space, self.plugins, loaded.recipe, self.repository.state)[0]

    def _facts_of(self, log: Log) -> CorpusFacts:
        """Return the facts about all that is recorded, read once until the log changes."""
        from patina_hooks.store.database.connection import read_data_version
        from patina_hooks.store.facts import CorpusFacts

        version = read_data_version(log.connection)
        if self._facts is None or self._facts[0] is not log or self._facts[1] != version:
            self._facts = (log, version, CorpusFacts.read(log.connection))
        return self._facts[2]


def _continue_counts(progress: Progress | None, before: int) -> Progress | None:
    """Add the texts that earlier slices embedded to the counts of progress."""
    if progress is None:
        return None
    return lambda stage, done, total: progress(
        stage, *((done + before, total + before) if stage == "embedding" else (done, total))
    )


def open(path: str | Path = ".") -> Patina:
    """Open the memory of the repository that encloses `path`.

    Raises:
        NotARepository: there is none, or git refuses it.
    """
    from patina_hooks.git.repository import Repository

    return Patina(Repository.open(Path(path)))
