"""Reconcile: make the log equal to what live refs and work trees say, at the cost of what changed.

Level-triggered: nothing depends on which hook fired, how often or in what order. Commits come first, in
transactions of their own, newest first, so that a first read answers early and goes on where it was
interrupted; then one transaction brings tips, documents, sessions and pairs to one consistent state.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from patina_hooks.corpus import places
from patina_hooks.corpus.log import Log, name_text
from patina_hooks.corpus.observations import (
    Changed,
    Extractors,
    Place,
    add_document,
    failed_places,
    forget_failed,
    forget_skipped,
    forget_sources,
    missing_sources,
    outdated_places,
    remove_document,
    renew_documents,
    store_source,
)
from patina_hooks.corpus.timeline import derive_session
from patina_hooks.corpus.tips import (
    GraphChange,
    PrunedTips,
    Tips,
    graph_change,
    load_tips,
    read_tips,
    store_tips,
)
from patina_hooks.corpus.units import mark_commits, mark_modules, mark_sessions
from patina_hooks.git.repository import DOCUMENT_CAP, Blob, Repository
from patina_hooks.settings import Settings
from patina_hooks.types import Commit, Document, Session

_BATCH = 1_000
_MOST_FAILURES = 20  # that a sync bears before it leaves what else failed before to the next
Progress = Callable[[str, int, int], None]


@dataclass(slots=True)
class Reconciled:
    """What one reconcile changed. sessions: (before, after) of each session that was derived anew.

    read: how many commits are new; commits: those, where somebody wants to hear of them (`keep`).
    """

    keep: bool = True
    read: int = 0
    commits: list[Commit] = field(default_factory=list)
    gone: int = 0
    sessions: list[tuple[Session | None, Session | None]] = field(default_factory=list)
    changed: Changed = field(default_factory=Changed)
    dirty: set[str] = field(default_factory=set)
    retried: bool = False

    @property
    def anything(self) -> bool:
        """Whether there was anything to do, for plugins too."""
        changed = self.changed.came or self.changed.went
        return bool(self.read or self.gone or self.dirty or changed or self.retried)


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

    quick: trust the stamps of folders (`patina_hooks.corpus.stamps`) instead of listing every tag and every
    archived document of a work tree.
    """
    show, result = progress or (lambda *_: None), result or Reconciled()
    return _Reconciler(repository, log, extractors, settings, show, result, quick).run()


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

    def run(self) -> Reconciled:
        old = load_tips(self._db, self._log.fact("tags"), self._log.fact("stamp of tags"))
        work_trees = tuple(self._repository.work_trees())
        own = [tree.path for tree in work_trees if self._repository.owns(tree.path)]
        stamps, listings = self._look_at(own)
        tips = read_tips(self._repository, old, work_trees, quick=self._quick)
        if tips.listing != old.listing or not tips.listing:
            # A session may have ended since: where its tag was seen, its document has to be.
            stamps, listings = self._look_at(own)
        packs = self._packs()
        again = self._cut_off(packs)
        graph = self._graph(old, tips, again)
        self._read_commits([*graph.added, *sorted(again.difference(graph.added, graph.gone))], again)
        with self._log.writing():
            moved = store_tips(self._db, old, tips)
            self._forget_commits(graph.gone)
            if self._log.fact("extractors") != self._extractors.signature:
                self._renew()
            self._retry()
            self._documents(tips, graph.side)
            self._drafts(stamps, listings)
            if self._border_moved():
                self._forget_sessions()
            self._sessions(moved)
            self._log.remember("tags", tips.listing)
            self._log.remember("stamp of tags", tips.stamp)
            self._log.remember("side", json.dumps(sorted(graph.side)))
            self._log.remember("shallow", self._shallow())
            self._log.remember("packs", packs)
            self._log.remember("folder", self._folder)
            self._log.remember("extractors", self._extractors.signature)
            self._log.remember("reading", "")
            mark_sessions(self._db, sorted(self._result.dirty))
        return self._result

    # --- commits --------------------------------------------------------------------------------

    def _graph(self, old: Tips, tips: Tips, again: set[str]) -> GraphChange:
        side = set(json.loads(self._log.fact("side", "[]")))
        # A reading that was killed may have left commits that no tip has reached since.
        killed = self._log.fact("reading") != ""
        try:
            whole = self._known(again) if not old.trunk or killed or self._border_moved() else None
            return graph_change(self._repository, old, tips, side, whole=whole)
        except PrunedTips:
            return graph_change(self._repository, old, tips, side, whole=self._known(again))

    def _shallow(self) -> str:
        border = self._repository.shallow()
        return _sha256(" ".join(sorted(border)))

    def _border_moved(self) -> bool:
        return self._log.fact("shallow") != self._shallow()

    def _packs(self) -> str:
        """A digest of what arrives by fetching."""
        packs = (self._repository.common / "objects" / "pack").glob("*.pack")
        return _sha256(" ".join(sorted(pack.name for pack in packs)))

    def _cut_off(self, packs: str) -> set[str]:
        """Known commits whose paths may be told otherwise now: they are, or were, at the shallow border, or a
        partial clone lacked their trees and has fetched since."""
        border = self._repository.shallow()
        cut = {row[0] for row in self._db.execute("SELECT oid FROM commits WHERE truncated")}
        if self._border_moved():
            return cut | {oid for oid in border if self._has(oid)}
        lacking = cut - border
        fetched = packs != self._log.fact("packs")
        return self._repository.with_trees(lacking) if lacking and fetched else set()

    def _known(self, again: set[str]) -> dict[str, bool]:
        """Every commit, and whether it is to be read again."""
        return {row[0]: row[0] in again for row in self._db.execute("SELECT oid FROM commits")}

    def _read_commits(self, added: list[str], again: set[str]) -> None:
        fresh = [oid for oid in added if oid in again or not self._has(oid)]
        done = 0
        stream = self._repository.commits(fresh)
        while batch := list(islice(stream, _BATCH)):
            with self._log.writing():
                for commit in batch:
                    self._store_commit(commit)
                new = [commit for commit in batch if commit.oid not in again]
                self._log.record("commit", [(c.oid, self._extractors.redacted(c.subject)[:200]) for c in new])
                self._log.remember("reading", "begun")
                if self._log.fact("extractors") != self._extractors.signature:
                    # Killed after this, there are documents of both: whatever is in force then must look.
                    self._log.remember("extractors", "")
            self._result.read += len(new)
            if self._result.keep:
                self._result.commits += new
            done += len(batch)
            self._progress("reading commits", done, len(fresh))

    def _has(self, oid: str) -> bool:
        return self._db.execute("SELECT 1 FROM commits WHERE oid = ?", (oid,)).fetchone() is not None

    def _store_commit(self, commit: Commit) -> None:
        """Add a commit, or have one that is there say its paths anew: nothing else of it can change."""
        self._db.execute(
            "INSERT INTO commits (oid, author, authored, committed, merge, truncated)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (oid)"
            " DO UPDATE SET merge = excluded.merge, truncated = excluded.truncated",
            (commit.oid, commit.author, commit.authored, commit.committed, commit.is_merge, commit.truncated),
        )
        (number,) = self._db.execute("SELECT id FROM commits WHERE oid = ?", (commit.oid,)).fetchone()
        mark_modules(self._db, number)  # by the paths that it told before
        self._db.execute("DELETE FROM change WHERE commit_id = ?", (number,))
        paths = [name_text(change.path) for change in commit.changes]
        self._db.executemany(
            "INSERT OR IGNORE INTO path (path, folder) VALUES (?, ?)",
            [(path, path.rpartition("/")[0]) for path in paths],
        )
        self._db.executemany(
            "INSERT OR REPLACE INTO change SELECT ?, id, ? FROM path WHERE path = ?",
            [(number, c.status, path) for c, path in zip(commit.changes, paths, strict=True)],
        )
        mark_modules(self._db, number)
        mark_commits(self._db, [commit.oid])
        store_source(self._db, self._extractors, Document("commit", commit.oid, commit.message))
        if not self._is_document(commit.oid):
            add_document(self._db, self._extractors, Place("commit", commit.oid), self._result.changed)

    def _forget_commits(self, oids: Iterable[str]) -> None:
        for oid in oids:
            remove_document(self._db, Place("commit", oid), self._result.changed)
            row = self._db.execute("SELECT id FROM commits WHERE oid = ?", (oid,)).fetchone()
            if row:
                mark_modules(self._db, row[0])
                mark_commits(self._db, [oid])
                self._db.execute("DELETE FROM session_commit WHERE commit_id = ?", row)
                self._db.execute("DELETE FROM commits WHERE id = ?", row)
                self._result.gone += 1
                self._log.record("gone", [(oid, "")])

    # --- documents ------------------------------------------------------------------------------

    def _renew(self) -> None:
        """The extractors changed: what those that left have found goes, those that came read everything."""
        outdated = outdated_places(self._db, self._extractors)
        for place in outdated:
            if place.work_tree:
                self._take_out(place)
        self._db.execute("DELETE FROM fact WHERE name LIKE 'files %'")
        self._read_again([place for place in outdated if not place.work_tree])
        forget_sources(self._db, self._extractors)
        if self._extractors.redact:
            self._log.rewrite(self._extractors.redacted)
        self._result.dirty |= {row[0] for row in self._db.execute("SELECT id FROM session")}

    def _retry(self) -> None:
        """What an extractor failed on is tried again, in case that what it lacked is there now."""
        waiting, failures = failed_places(self._db), 0
        while waiting and failures < _MOST_FAILURES:
            batch, waiting = waiting[:_MOST_FAILURES], waiting[_MOST_FAILURES:]
            before = len(self._extractors.faults)
            forget_failed(self._db, [place.oid for place in batch])
            self._read_again(batch)
            failures += len(self._extractors.faults) - before
            self._result.retried = True

    def _read_again(self, places: list[Place]) -> None:
        """Have documents that stay where they are say what the extractors in force make of them."""
        commits = [place.oid for place in places if place.kind == "commit"]
        self._extract_commits(commits)
        mark_commits(self._db, commits)
        self._extract_blobs({place.oid: place.path for place in places if place.kind == "session"})
        for oid in dict.fromkeys(place.oid for place in places):
            renew_documents(self._db, self._extractors, oid, self._result.changed)
        ask = (
            "SELECT sc.session FROM session_commit sc JOIN commits c ON c.id = sc.commit_id WHERE c.oid = ?1"
            " UNION SELECT session FROM document WHERE oid = ?1 AND session IS NOT NULL"
        )
        for place in places:
            self._result.dirty |= {row[0] for row in self._db.execute(ask, (place.oid,))}

    def _documents(self, tips: Tips, side: set[str]) -> None:
        trees = places.trees_of(self._repository, tips.trunk_targets() | side, self._folder)
        key = " ".join([self._folder, *sorted(trees)])
        arrived = self._arrived()
        if key == self._log.fact("trees") and not arrived:
            return
        rows = self._db.execute(
            "SELECT kind, oid, path, work_tree, session FROM document"
            " WHERE kind = 'session' AND work_tree = ''"
        )
        have = {Place(*row) for row in rows}
        want = places.places_in(self._repository, trees, self._folder)
        stay = {place for place in have & want if place.oid not in arrived}
        for place in sorted(have - stay, key=_order):
            self._take_out(place)
        forget_skipped(self._db, arrived)
        fresh = sorted(want - stay, key=_order)
        self._extract_blobs({place.oid: place.path for place in fresh})
        for place in fresh:
            self._put_in(place)
        self._log.remember("trees", key)

    def _arrived(self) -> set[str]:
        """Documents that a partial clone lacked when they were read, and that were fetched since."""
        rows = self._db.execute(
            "SELECT DISTINCT oid FROM source WHERE skipped != '' AND skipped = ?", (places.ABSENT,)
        )
        return {oid for oid, here in self._repository.exists([row[0] for row in rows]).items() if here}

    def _extract_commits(self, oids: list[str]) -> None:
        wanted = missing_sources(self._db, self._extractors, "commit", oids)
        for commit in self._repository.commits(wanted):
            store_source(self._db, self._extractors, Document("commit", commit.oid, commit.message))

    def _extract_blobs(self, paths: dict[str, str]) -> None:
        """Extract session documents that some extractor in force has not read; oid -> path."""
        wanted = missing_sources(self._db, self._extractors, "session", paths)
        for done, blob in enumerate(self._repository.blobs(wanted, DOCUMENT_CAP), 1):
            if reason := self._extract_blob(blob):
                self._log.record("skipped", [(paths[blob.oid], reason)])
            self._progress("reading documents", done, len(wanted))

    def _extract_blob(self, blob: Blob) -> str:
        """Extract one session document; gives why it cannot be read, "" where it can."""
        reason = places.reason_to_skip(blob)
        text = "" if reason else (blob.data or b"").decode("utf-8", "replace")
        store_source(self._db, self._extractors, Document("session", blob.oid, text), reason)
        return reason

    def _put_in(self, place: Place) -> None:
        session = place.session or self._stated_session(place)
        add_document(
            self._db,
            self._extractors,
            Place(place.kind, place.oid, place.path, place.work_tree, session),
            self._result.changed,
        )
        self._log.record("document", [(place.path, place.oid)])
        if session:
            self._result.dirty.add(session)

    def _take_out(self, place: Place) -> None:
        remove_document(self._db, place, self._result.changed)
        self._log.record("left", [(place.path, place.oid)])
        if place.session:
            self._result.dirty.add(place.session)

    def _stated_session(self, place: Place) -> str | None:
        """The id that a document gives itself, where its name gives none (a draft)."""
        if not place.work_tree:
            return None
        rows = self._db.execute("SELECT fields FROM source WHERE oid = ? ORDER BY extractor", (place.oid,))
        stated = (str(json.loads(row[0]).get("id", "")) for row in rows)
        return next((found for text in stated if (found := places.session_of(text))), None)

    # --- drafts ---------------------------------------------------------------------------------

    def _look_at(self, roots: list[Path]) -> tuple[dict[Path, str], places.Listings]:
        """A stamp of each work tree, and listings begun where that is not what the last look left."""
        stamps = {root: places.stamp_of_drafts(root, self._folder, self._drafts_of(root)) for root in roots}
        moved = [root for root in roots if not self._is_still(root, stamps[root])]
        return stamps, places.Listings(self._folder, begin=moved)

    def _drafts(self, stamps: Mapping[Path, str], listings: places.Listings) -> None:
        rows = self._db.execute(
            "SELECT kind, oid, path, work_tree, session FROM document WHERE work_tree != ''"
        )
        have = {(place.oid, place.path, place.work_tree): place for place in (Place(*row) for row in rows)}
        want: dict[tuple[str, str, str], Blob | None] = {}
        looked: set[str] = set()
        for root, stamp in stamps.items():
            tree = name_text(str(root))
            of_root = [key for key in have if key[2] == tree]
            still = self._is_still(root, stamp)
            want |= (
                dict.fromkeys(of_root) if still else self._drafts_in(root, stamp, listings.of(root), of_root)
            )
            looked.add(f"files {tree}")
        # A work tree that is not to be found now is looked at anew when it is back.
        for (name,) in self._db.execute("SELECT name FROM fact WHERE name LIKE 'files %'").fetchall():
            if name not in looked:
                self._db.execute("DELETE FROM fact WHERE name = ?", (name,))
        for key in sorted(have.keys() - want.keys()):
            self._take_out(have[key])
        for key in sorted(want.keys() - have.keys()):
            if blob := want[key]:
                self._extract_blob(blob)
            self._put_in(Place("session", *key))

    def _drafts_of(self, root: Path) -> list[str]:
        ask = "SELECT path FROM document WHERE work_tree = ? AND work_tree != ''"
        return [row[0] for row in self._db.execute(ask, (name_text(str(root)),))]

    def _is_still(self, root: Path, stamp: str) -> bool:
        """Whether a quick look finds a work tree, and the trees of documents, as the last look left them."""
        _, _, stamped = self._log.fact(f"files {name_text(str(root))}").partition(" ")
        return self._quick and stamp != "" and stamped == self._stamped(stamp)

    def _stamped(self, stamp: str) -> str:
        return _sha256(stamp + self._log.fact("trees")) if stamp else ""

    def _drafts_in(
        self, root: Path, stamp: str, files: places.Listing, have: list[tuple[str, str, str]]
    ) -> dict[tuple[str, str, str], Blob | None]:
        """(oid, path, work tree) -> blob of each document of one work tree that no ref holds.

        Where no file and no tree of documents has changed since the last time, nothing is opened.
        """
        tree = name_text(str(root))
        name, look = f"files {tree}", _sha256(files.stamps + self._log.fact("trees"))
        before, _, _ = self._log.fact(name).partition(" ")
        self._log.remember(name, f"{look} {self._stamped(stamp)}")
        if before == look:
            return dict.fromkeys(have)
        found: dict[tuple[str, str, str], Blob | None] = {}
        for path in files.paths:
            read = places.read_draft(root, path, self._repository.object_format)
            if not read and not os.path.lexists(root / path):
                # Moved meanwhile, as the document of a session that ends.
                return self._drafts_in(root, stamp, places.listing(root, self._folder), have)
            if read and not any(self._is_document(blob.oid) for blob in read):
                found[read[0].oid, name_text(path), tree] = read[0]
        return found

    def _is_document(self, oid: str) -> bool:
        """Whether a ref holds this object, as a document or as a commit."""
        ask = "SELECT 1 FROM document WHERE oid = ? AND work_tree = ''"
        return self._db.execute(ask, (oid,)).fetchone() is not None

    # --- sessions -------------------------------------------------------------------------------

    def _forget_sessions(self) -> None:
        """A range of tags may hold other commits now: every session is derived anew."""
        self._result.dirty |= {row[0] for row in self._db.execute("SELECT id FROM session")}
        self._db.execute("DELETE FROM session")
        self._db.execute("DELETE FROM session_commit")

    def _sessions(self, moved: set[str]) -> None:
        self._result.dirty |= moved
        for session in sorted(self._result.dirty):
            before, after = derive_session(self._db, self._repository, session)
            if before != after:
                self._result.sessions.append((before, after))
                self._log.record("session", [(session, after.state if after else "gone")])


def _order(place: Place) -> tuple[str, str, str]:
    return (place.work_tree, place.path, place.oid)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
