"""Reconcile: make the log equal to what live refs and work trees say, at the cost of what changed.

Level-triggered: nothing depends on which hook fired, how often or in what order. Commits come first, in
transactions of their own, newest first, so that a first read answers early and goes on where it was
interrupted; then one transaction brings live_refs, documents, sessions and pairs to one consistent state.
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
    graph_change,
    load_live_refs,
    read_live_refs,
    store_live_refs,
)
from patina_hooks.corpus.observations import (
    Extractors,
    add_document,
    remember_extractors,
    remove_document,
    settle_extractors,
)
from patina_hooks.corpus.outcome import Progress, Reconciled
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
    result: Reconciled | None = None,
    *,
    quick: bool = False,
) -> Reconciled:
    """Bring the log in line; the caller holds the sync lock. result: empty, says what is to be kept in it.

    quick: trust the stamps of folders (`patina_hooks.corpus.folder_stamps`) instead of listing every tag and
    every archived document of a work tree.
    """
    show, result = progress or (lambda *_: None), result or Reconciled()
    return _Reconciler(repository, log, extractors, settings, show, result, quick).run()


def parse_oids(stored: list[str]) -> set[str]:
    """Return a remembered list of commits. Raises TypeError for anything else."""
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
        result: Reconciled,
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
        # Once: where it moves meanwhile, the next sync sees that it did.
        self._border = repository.shallow()
        self._tip_commits: set[str] = set()
        self._covered: set[str] = set()
        self._sources = Sources(extractors.plugins, settings)
        self._documents = Documents(repository, log, extractors, self._sources, progress, result)
        self._drafts = Drafts(repository, log, self._documents, self._sources, quick=quick)

    def run(self) -> Reconciled:
        are_new = settle_extractors(self._log, self._extractors)
        old = load_live_refs(self._db, self._log.fact("tags"), self._log.fact("stamp of tags"))
        work_trees = tuple(self._repository.work_trees())
        own = [tree.path for tree in work_trees if self._repository.owns(tree.path)]
        stamps, listings = self._drafts.look_at(own)
        live_refs = read_live_refs(self._repository, old, work_trees, quick=self._quick)
        if live_refs.listing != old.listing or not live_refs.listing:
            # A session may have ended since: where its tag was seen, its document has to be.
            stamps, listings = self._drafts.look_at(own)
        packs = self._packs()
        again = self._cut_off(packs)
        graph = self._graph(old, live_refs, again)
        self._tip_commits = live_refs.branch_targets() | graph.side
        self._read_commits([*graph.added, *sorted(again.difference(graph.added, graph.gone))], again)
        with self._log.writing():
            moved = store_live_refs(self._db, old, live_refs)
            self._forget_commits(graph.gone)
            place_commits(self._db)
            if are_new:
                self._documents.renew()
            self._documents.retry()
            # Where a commit's trees are here by now, so may be those of a tip.
            trees: dict[Trees, set[str]] = {"refs": self._tip_commits}
            if self._documents.reads_heads:
                trees["heads"] = live_refs.head_targets(self._repository.default_branch())
            self._documents.update(trees, f"{packs} again" if again else packs)
            self._documents.cover(self._covered, again=bool(graph.gone))
            self._drafts.update(stamps, listings)
            if self._border_moved():
                self._forget_sessions()
            self._sessions(moved)
            self._log.remember("tags", live_refs.listing)
            self._log.remember("stamp of tags", live_refs.stamp)
            self._log.remember("side", json.dumps(sorted(graph.side)))
            self._log.remember("shallow", hash_border(self._border))
            self._log.remember("packs", packs)
            self._log.remember("folder", self._folder)
            remember_extractors(self._log, self._extractors)
            self._log.remember("reading", "")
            mark_sessions(self._db, sorted(self._result.dirty))
        self._result.faults += self._sources.faults
        self._result.watched = self._drafts.watched(own)
        return self._result

    # --- commits --------------------------------------------------------------------------------

    def _graph(self, old: LiveRefs, live_refs: LiveRefs, again: set[str]) -> GraphChange:
        side = self._log.parsed("side", "[]", parse_oids)
        # A reading that was killed may have left commits that no tip has reached since.
        killed = self._log.fact("reading") != ""
        try:
            whole = self._known(again) if not old.trunk or killed or self._border_moved() else None
            return graph_change(self._repository, old, live_refs, side, whole=whole, recorded=self._has)
        except PrunedRefs:
            return graph_change(
                self._repository, old, live_refs, side, whole=self._known(again), recorded=self._has
            )

    def _border_moved(self) -> bool:
        return self._log.fact("shallow") != hash_border(self._border)

    def _packs(self) -> str:
        """A digest of what arrives by fetching."""
        packs = (self._repository.common / "objects" / "pack").glob("*.pack")
        return hash_text(" ".join(sorted(pack.name for pack in packs)))

    def _cut_off(self, packs: str) -> set[str]:
        """Known commits whose paths may be told otherwise now: they are, or were, at the shallow border, or a
        partial clone lacked their trees and has fetched since."""
        cut = commits.read_truncated(self._db)
        if self._border_moved():
            return cut | {oid for oid in self._border if self._has(oid)}
        lacking = cut - self._border
        # A full sync looks in any case: an object may also be put back, and a setting be corrected.
        looks = packs != self._log.fact("packs") or not self._quick
        return self._repository.with_trees(lacking) if lacking and looks else set()

    def _known(self, again: set[str]) -> dict[str, bool]:
        """Every commit, and whether it is to be read again."""
        return {oid: oid in again for oid in commits.read_oids(self._db)}

    def _read_commits(self, added: list[str], again: set[str]) -> None:
        fresh = [oid for oid in added if oid in again or not self._has(oid)]
        done = 0
        stream = self._repository.commits(fresh)
        while batch := list(islice(stream, _BATCH)):
            with self._log.writing():
                for commit in batch:
                    if commit.oid in again:
                        update_parents(self._db, commit)
                    if not (commit.truncated and commit.oid in again and self._is_truncated(commit.oid)):
                        self._store_commit(commit)
                    self._covered |= self._tip_commits.intersection(commit.parents)
                new = [commit for commit in batch if commit.oid not in again]
                redact = self._extractors.redaction.redact
                subjects = ((c, redact(c.subject)[:200]) for c in new)
                self._log.record_once("commit", [(c.oid, subject, c.committed) for c, subject in subjects])
                self._log.remember("reading", "begun")
                if self._log.fact("extractors") != self._extractors.signature:
                    # Killed after this, there are documents of both: whatever is in force then must look.
                    self._log.remember("extractors", "")
            self._result.read += len(new)
            if self._result.on_commit:
                for commit in new:
                    self._result.on_commit(replace(commit, message=redact(commit.message)))
            done += len(batch)
            self._progress("reading commits", done, len(fresh))

    def _is_truncated(self, oid: str) -> bool:
        return commits.is_truncated(self._db, oid)

    def _has(self, oid: str) -> bool:
        return commits.has_commit(self._db, oid)

    def _store_commit(self, commit: Commit) -> None:
        """Add a commit, or replace the paths of one that is there: nothing else of it can change."""
        row = commits.store_commit(self._db, commit)
        mark_modules(self._db, row)  # by the paths that it had before
        commits.delete_changes(self._db, row)
        commits.add_changes(self._db, row, commit)
        mark_modules(self._db, row)
        mark_commits(self._db, [commit.oid])
        self._documents.extract_message(commit)
        if not is_on_a_ref(self._db, commit.oid):
            add_document(self._db, self._extractors, self._message(commit.oid), self._result.changed)

    def _message(self, oid: str) -> DocumentLocation:
        return DocumentLocation(self._sources.message_kind, oid)

    def _forget_commits(self, oids: Iterable[str]) -> None:
        for oid in oids:
            remove_document(self._db, self._message(oid), self._result.changed)
            row = commits.read_commit_row(self._db, oid)
            if row is not None:
                mark_modules(self._db, row)
                mark_commits(self._db, [oid])
                commits.delete_changes(self._db, row)
                commits.delete_commit(self._db, row)
                self._result.gone += 1
                self._log.record("gone", [(oid, "")])

    # --- sessions -------------------------------------------------------------------------------

    def _forget_sessions(self) -> None:
        """A range of tags may hold other commits now: every session is derived anew."""
        self._result.dirty |= read_session_ids(self._db)
        delete_sessions(self._db)

    def _sessions(self, moved: set[str]) -> None:
        self._result.dirty |= moved
        for session in sorted(self._result.dirty):
            before, after = derive_session(self._db, self._repository, session)
            if before != after:
                self._result.sessions.append((before, after))
                self._log.record_once(
                    "session", [(session, after.state if after else "gone", self._date(after))]
                )

    def _date(self, session: Session | None) -> int | None:
        """When a session was last worked in that a first read finds; what comes later is dated now."""
        return (session.ended or session.started) if session and self._documents.is_first_read else None
