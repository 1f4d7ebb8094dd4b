"""Reconcile: make the log equal to live refs and work trees, at a cost in proportion to what changed.

Level-triggered: nothing depends on which hook fired, how often or in what order. Commits come first, in
transactions of their own, newest first, so that a first read answers early and resumes after an interruption;
then one transaction updates live refs, documents, sessions and scopes of pairs together.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice

from patina_hooks.config.settings import Settings
from patina_hooks.corpus.documents import Documents
from patina_hooks.corpus.drafts import Drafts
from patina_hooks.corpus.folder_stamps import hash_border, hash_text
from patina_hooks.corpus.live_refs import (
    GraphChange,
    LiveRefs,
    PrunedRefs,
    compute_graph_change,
    load_live_refs,
    read_live_refs,
    store_live_refs,
)
from patina_hooks.corpus.observations import (
    Extractors,
    add_live_document,
    remember_extractors,
    remove_live_document,
    settle_extractors,
)
from patina_hooks.corpus.outcome import Progress, ReconcileResult
from patina_hooks.corpus.sources import Sources
from patina_hooks.corpus.timeline import derive_session
from patina_hooks.git.repository import Repository
from patina_hooks.specs.sources import Trees
from patina_hooks.specs.values import Commit, Session
from patina_hooks.store.corpus import commits
from patina_hooks.store.corpus.chains import place_commits, update_parents
from patina_hooks.store.corpus.documents import DocumentLocation, is_on_a_ref
from patina_hooks.store.corpus.sessions import delete_sessions, read_session_ids
from patina_hooks.store.log import Log
from patina_hooks.store.pairs.scopes import mark_commits, mark_modules, mark_sessions

_BATCH = 1_000


def reconcile(
    repository: Repository,
    log: Log,
    extractors: Extractors,
    settings: Settings,
    progress: Progress | None = None,
    result: ReconcileResult | None = None,
    *,
    quick: bool = False,
) -> ReconcileResult:
    """Update the log of history from git; the caller holds the sync lock.

    Args:
        repository: where live refs, objects and work trees are read.
        log: the log of history.
        extractors: those in force.
        settings: those in force.
        progress: called as (stage, done, total).
        result: an empty one, with the callbacks that it needs.
        quick: trust folder stamps (`patina_hooks.corpus.folder_stamps`) instead of listing every tag and
            every archived document of a work tree.
    """
    report, result = progress or (lambda *_: None), result or ReconcileResult()
    return _Reconciler(repository, log, extractors, settings, report, result, quick).run()


def parse_oids(stored: list[str]) -> set[str]:
    """Return a stored list of commits.

    Raises:
        TypeError: it is not a list of strings.
    """
    if not isinstance(stored, list) or not all(isinstance(oid, str) for oid in stored):
        raise TypeError(stored)
    return set(stored)


class _Reconciler:
    def __init__(
        self,
        repository: Repository,
        log: Log,
        extractors: Extractors,
        settings: Settings,
        progress: Progress,
        result: ReconcileResult,
        quick: bool,
    ) -> None:
        self._repository = repository
        self._log = log
        self._db = log.connection
        self._extractors = extractors
        self._folder = settings.sessions_folder
        self._progress = progress
        self._result = result
        self._quick = quick
        # Read once: if it moves during this reconcile, the next one sees that.
        self._border = repository.shallow()
        self._live_commits: set[str] = set()
        self._covered: set[str] = set()
        self._sources = Sources(extractors.plugins, settings)
        self._documents = Documents(repository, log, extractors, self._sources, progress, result)
        self._drafts = Drafts(repository, log, self._documents, self._sources, quick=quick)

    def run(self) -> ReconcileResult:
        must_renew = settle_extractors(self._log, self._extractors)
        old = load_live_refs(self._db, self._log.fact("tags"), self._log.fact("stamp of tags"))
        work_trees = tuple(self._repository.work_trees())
        own = [tree.path for tree in work_trees if self._repository.owns(tree.path)]
        stamps, listings = self._drafts.look_at(own)
        live_refs = read_live_refs(self._repository, old, work_trees, quick=self._quick)
        if live_refs.listing != old.listing or not live_refs.listing:
            # A session may have ended since: if its tag was read, its document must be, too.
            stamps, listings = self._drafts.look_at(own)
        packs = self._packs()
        again = self._cut_off(packs)
        graph = self._graph(old, live_refs, again)
        self._live_commits = live_refs.branch_targets() | graph.tag_only_commits
        self._read_commits([*graph.added, *sorted(again.difference(graph.added, graph.removed))], again)
        with self._log.writing():
            moved = store_live_refs(self._db, old, live_refs)
            self._remove_commits(graph.removed)
            place_commits(self._db)
            if must_renew:
                self._documents.renew()
            self._documents.retry()
            # If trees of commits were fetched since, those of live refs may have been, too.
            trees: dict[Trees, set[str]] = {"refs": self._live_commits}
            if self._documents.reads_heads:
                trees["heads"] = live_refs.head_targets(self._repository.default_branch())
            self._documents.update(trees, f"{packs} again" if again else packs)
            self._documents.cover(self._covered, from_nothing=bool(graph.removed))
            self._drafts.update(stamps, listings)
            if self._has_border_moved():
                self._remove_sessions()
            self._derive_sessions(moved)
            self._log.remember("tags", live_refs.listing)
            self._log.remember("stamp of tags", live_refs.stamp)
            self._log.remember("side", json.dumps(sorted(graph.tag_only_commits)))
            self._log.remember("shallow", hash_border(self._border))
            self._log.remember("packs", packs)
            self._log.remember("folder", self._folder)
            remember_extractors(self._log, self._extractors)
            self._log.remember("reading", "")
            mark_sessions(self._db, sorted(self._result.dirty))
        self._result.faults += self._sources.faults
        self._result.watched_paths = self._drafts.list_watched_paths(own)
        return self._result

    # --- commits --------------------------------------------------------------------------------

    def _graph(self, old: LiveRefs, live_refs: LiveRefs, again: set[str]) -> GraphChange:
        tag_only_commits = self._log.parsed("side", "[]", parse_oids)
        # A killed sync may have recorded commits that no ref has reached since.
        was_killed = self._log.fact("reading") != ""
        from_nothing = not old.branches or was_killed or self._has_border_moved()

        def compute(whole: dict[str, bool] | None) -> GraphChange:
            return compute_graph_change(
                self._repository, old, live_refs, tag_only_commits, whole=whole, is_recorded=self._has
            )

        try:
            return compute(self._recorded_commits(again) if from_nothing else None)
        except PrunedRefs:
            return compute(self._recorded_commits(again))

    def _has_border_moved(self) -> bool:
        return self._log.fact("shallow") != hash_border(self._border)

    def _packs(self) -> str:
        """Return a digest that changes with each fetch."""
        packs = (self._repository.common / "objects" / "pack").glob("*.pack")
        return hash_text(" ".join(sorted(pack.name for pack in packs)))

    def _cut_off(self, packs: str) -> set[str]:
        """Return recorded commits whose paths may differ now.

        They are or were at the shallow border, or a partial clone lacked their trees and has fetched since.
        """
        truncated = commits.read_truncated(self._db)
        if self._has_border_moved():
            return truncated | {oid for oid in self._border if self._has(oid)}
        lacking = truncated - self._border
        # A full sync looks in any case: an object may also be restored, and a setting be corrected.
        looks = packs != self._log.fact("packs") or not self._quick
        return self._repository.with_trees(lacking) if lacking and looks else set()

    def _recorded_commits(self, again: set[str]) -> dict[str, bool]:
        """Return each recorded commit and whether it must be read again."""
        return {oid: oid in again for oid in commits.read_oids(self._db)}

    def _read_commits(self, added: list[str], again: set[str]) -> None:
        fresh = [oid for oid in added if oid in again or not self._has(oid)]
        finished = 0
        stream = self._repository.commits(fresh)
        while batch := list(islice(stream, _BATCH)):
            with self._log.writing():
                for commit in batch:
                    if commit.oid in again:
                        update_parents(self._db, commit)
                    if not (commit.truncated and commit.oid in again and self._is_truncated(commit.oid)):
                        self._store_commit(commit)
                    self._covered |= self._live_commits.intersection(commit.parents)
                new = [commit for commit in batch if commit.oid not in again]
                redact = self._extractors.redaction.redact
                subjects = ((c, redact(c.subject)[:200]) for c in new)
                self._log.record_once("commit", [(c.oid, subject, c.committed) for c, subject in subjects])
                self._log.remember("reading", "begun")
                if self._log.fact("extractors") != self._extractors.signature:
                    # If a sync is killed after this, there are documents of both: the next one must renew
                    # them.
                    self._log.remember("extractors", "")
            self._result.added += len(new)
            if self._result.on_commit:
                for commit in new:
                    self._result.on_commit(replace(commit, message=redact(commit.message)))
            finished += len(batch)
            self._progress("reading commits", finished, len(fresh))

    def _is_truncated(self, oid: str) -> bool:
        return commits.is_truncated(self._db, oid)

    def _has(self, oid: str) -> bool:
        return commits.has_commit(self._db, oid)

    def _store_commit(self, commit: Commit) -> None:
        """Add a commit, or replace its paths: nothing else of a recorded commit can change."""
        row = commits.store_commit(self._db, commit)
        mark_modules(self._db, row)  # by its earlier paths
        commits.delete_changes(self._db, row)
        commits.add_changes(self._db, row, commit)
        mark_modules(self._db, row)
        mark_commits(self._db, [commit.oid])
        self._documents.extract_message(commit)
        if not is_on_a_ref(self._db, commit.oid):
            add_live_document(self._db, self._extractors, self._message(commit.oid), self._result.changed)

    def _message(self, oid: str) -> DocumentLocation:
        return DocumentLocation(self._sources.message_kind, oid)

    def _remove_commits(self, oids: Iterable[str]) -> None:
        for oid in oids:
            remove_live_document(self._db, self._message(oid), self._result.changed)
            row = commits.read_commit_row(self._db, oid)
            if row is not None:
                mark_modules(self._db, row)
                mark_commits(self._db, [oid])
                commits.delete_changes(self._db, row)
                commits.delete_commit(self._db, row)
                self._result.removed += 1
                self._log.record("gone", [(oid, "")])

    # --- sessions -------------------------------------------------------------------------------

    def _remove_sessions(self) -> None:
        """Have every session derived again: the range of its tags may hold other commits now."""
        self._result.dirty |= read_session_ids(self._db)
        delete_sessions(self._db)

    def _derive_sessions(self, moved: set[str]) -> None:
        self._result.dirty |= moved
        for session in sorted(self._result.dirty):
            before, after = derive_session(self._db, self._repository, session)
            if before != after:
                self._result.sessions.append((before, after))
                self._log.record_once(
                    "session", [(session, after.state if after else "gone", self._date(after))]
                )

    def _date(self, session: Session | None) -> int | None:
        """Return the event time of a session: its last activity on a first read, else now (None)."""
        return (session.ended or session.started) if session and self._documents.is_first_read else None
