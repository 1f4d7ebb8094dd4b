"""Reconcile: make the log equal to what live refs and work trees say, at the cost of what changed.

Level-triggered: nothing depends on which hook fired, how often or in what order. Commits come first, in
transactions of their own, newest first, so that a first read answers early and goes on where it was
interrupted; then one transaction brings tips, documents, sessions and pairs to one consistent state.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
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
    forget_skipped,
    forget_sources,
    missing_sources,
    remove_document,
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
from patina_hooks.git.repository import Blob, Repository
from patina_hooks.settings import Settings
from patina_hooks.types import Commit, Document, Session

_BATCH = 1_000
Progress = Callable[[str, int, int], None]


@dataclass(slots=True)
class Reconciled:
    """What one reconcile changed. sessions: (before, after) of each session that was derived anew."""

    commits: list[Commit] = field(default_factory=list)
    gone: int = 0
    sessions: list[tuple[Session | None, Session | None]] = field(default_factory=list)
    changed: Changed = field(default_factory=Changed)
    dirty: set[str] = field(default_factory=set)

    @property
    def anything(self) -> bool:
        return bool(self.commits or self.gone or self.dirty or self.changed.added or self.changed.removed)


def reconcile(
    repository: Repository,
    log: Log,
    extractors: Extractors,
    settings: Settings,
    progress: Progress | None = None,
) -> Reconciled:
    """Bring the log in line; the caller holds the sync lock."""
    return _Reconciler(repository, log, extractors, settings, progress or (lambda *_: None)).run()


class _Reconciler:
    def __init__(
        self, repository: Repository, log: Log, extractors: Extractors, settings: Settings, progress: Progress
    ) -> None:
        self._repository = repository
        self._log = log
        self._db = log.connection
        self._extractors = extractors
        self._folder = settings.sessions_folder
        self._progress = progress
        self._result = Reconciled()

    def run(self) -> Reconciled:
        stale = self._log.fact("extractors") not in ("", self._extractors.signature)
        old = load_tips(self._db, self._log.fact("tags"))
        tips = read_tips(self._repository, old)
        graph = self._graph(old, tips)
        self._read_commits(graph.added)
        with self._log.writing():
            moved = store_tips(self._db, old, tips)
            self._forget_commits(graph.gone)
            if stale:
                self._reread()
            self._documents(tips, graph.side, everything=stale)
            self._drafts(tips)
            if self._border_moved():
                self._forget_sessions()
            self._sessions(moved)
            self._log.remember("tags", tips.listing)
            self._log.remember("side", json.dumps(sorted(graph.side)))
            self._log.remember("shallow", self._shallow())
            self._log.remember("folder", self._folder)
            self._log.remember("extractors", self._extractors.signature)
            self._log.remember("reading", "")
            unpaired = {*json.loads(self._log.fact("unpaired", "[]")), *self._result.dirty}
            self._log.remember("unpaired", json.dumps(sorted(unpaired)))
        return self._result

    # --- commits --------------------------------------------------------------------------------

    def _graph(self, old: Tips, tips: Tips) -> GraphChange:
        side = set(json.loads(self._log.fact("side", "[]")))
        # A reading that was killed may have left commits that no tip has reached since.
        killed = self._log.fact("reading") != ""
        try:
            whole = self._known() if not old.trunk or killed or self._border_moved() else None
            return graph_change(self._repository, old, tips, side, whole=whole)
        except PrunedTips:
            return graph_change(self._repository, old, tips, side, whole=self._known())

    def _shallow(self) -> str:
        border = self._repository.shallow()
        return _sha256(" ".join(sorted(border)))

    def _border_moved(self) -> bool:
        return self._log.fact("shallow") != self._shallow()

    def _known(self) -> dict[str, bool]:
        """Every commit, and whether it was cut off: those are read again."""
        return {row[0]: bool(row[1]) for row in self._db.execute("SELECT oid, truncated FROM commits")}

    def _read_commits(self, added: list[str]) -> None:
        fresh = [oid for oid in added if not self._has(oid)]
        done = 0
        stream = self._repository.commits(fresh)
        while batch := list(islice(stream, _BATCH)):
            with self._log.writing():
                for commit in batch:
                    self._add_commit(commit)
                self._log.record(
                    "commit", [(c.oid, self._extractors.redacted(c.subject)[:200]) for c in batch]
                )
                self._log.remember("reading", "begun")
            self._result.commits += batch
            done += len(batch)
            self._progress("reading commits", done, len(fresh))

    def _has(self, oid: str) -> bool:
        row = self._db.execute("SELECT truncated FROM commits WHERE oid = ?", (oid,)).fetchone()
        if row and row[0]:
            with self._log.writing():
                self._forget_commits([oid])
        return bool(row and not row[0])

    def _add_commit(self, commit: Commit) -> None:
        number = self._db.execute(
            "INSERT INTO commits (oid, author, authored, committed, merge, truncated)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (commit.oid, commit.author, commit.authored, commit.committed, commit.is_merge, commit.truncated),
        ).lastrowid
        paths = [(name_text(change.path),) for change in commit.changes]
        self._db.executemany("INSERT OR IGNORE INTO path (path) VALUES (?)", paths)
        self._db.executemany(
            "INSERT OR REPLACE INTO change SELECT ?, id, ? FROM path WHERE path = ?",
            [(number, c.status, path[0]) for c, path in zip(commit.changes, paths, strict=True)],
        )
        store_source(self._db, self._extractors, Document("commit", commit.oid, commit.message))
        add_document(self._db, self._extractors, Place("commit", commit.oid), self._result.changed)

    def _forget_commits(self, oids: Iterable[str]) -> None:
        for oid in oids:
            remove_document(self._db, Place("commit", oid), self._result.changed)
            self._db.execute(
                "DELETE FROM session_commit WHERE commit_id = (SELECT id FROM commits WHERE oid = ?)", (oid,)
            )
            if self._db.execute("DELETE FROM commits WHERE oid = ?", (oid,)).rowcount:
                self._result.gone += 1
                self._log.record("gone", [(oid, "")])

    # --- documents ------------------------------------------------------------------------------

    def _reread(self) -> None:
        """The extractors changed: take every document out; those that are live come back as read anew."""
        rows = self._db.execute("SELECT kind, oid, path, work_tree, session FROM document").fetchall()
        old = [Place(*row) for row in rows]
        for place in old:
            remove_document(self._db, place, self._result.changed)
        forget_sources(self._db, self._extractors)
        if self._extractors.redact:
            self._log.rewrite(self._extractors.redacted)
        self._db.execute("DELETE FROM fact WHERE name LIKE 'files %'")
        live = [place for place in old if place.kind == "commit"]
        self._extract_commits([place.oid for place in live])
        for place in live:
            add_document(self._db, self._extractors, place, self._result.changed)
        self._result.dirty |= {row[0] for row in self._db.execute("SELECT id FROM session")}

    def _documents(self, tips: Tips, side: set[str], *, everything: bool) -> None:
        trees = places.trees_of(self._repository, tips.trunk_targets() | side, self._folder)
        key = " ".join([self._folder, *sorted(trees)])
        arrived = self._arrived()
        if key == self._log.fact("trees") and not everything and not arrived:
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
        for done, blob in enumerate(self._repository.blobs(wanted, places.DOCUMENT_CAP), 1):
            reason = places.reason_to_skip(blob)
            text = "" if reason else (blob.data or b"").decode("utf-8", "replace")
            store_source(self._db, self._extractors, Document("session", blob.oid, text), reason)
            if reason:
                self._log.record("skipped", [(paths[blob.oid], reason)])
            self._progress("reading documents", done, len(wanted))

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
        rows = self._db.execute("SELECT fields FROM source WHERE oid = ?", (place.oid,))
        stated = (str(json.loads(row[0]).get("id", "")) for row in rows)
        return next((found for text in stated if (found := places.session_of(text))), None)

    # --- drafts ---------------------------------------------------------------------------------

    def _drafts(self, tips: Tips) -> None:
        rows = self._db.execute(
            "SELECT kind, oid, path, work_tree, session FROM document WHERE work_tree != ''"
        )
        have = {(place.oid, place.path, place.work_tree): place for place in (Place(*row) for row in rows)}
        want: dict[tuple[str, str, str], bytes | None] = {}
        for tree in tips.work_trees:
            if not self._repository.owns(tree.path):
                continue
            of_tree = [key for key in have if key[2] == name_text(str(tree.path))]
            want.update(self._drafts_in(tree.path, of_tree))
        for key in sorted(have.keys() - want.keys()):
            self._take_out(have[key])
        for key in sorted(want.keys() - have.keys()):
            data = want[key] or b""
            reason = places.reason_to_skip(Blob(key[0], len(data), data))
            document = Document("session", key[0], "" if reason else data.decode("utf-8", "replace"))
            store_source(self._db, self._extractors, document, reason)
            self._put_in(Place("session", *key))

    def _drafts_in(
        self, root: Path, have: list[tuple[str, str, str]]
    ) -> dict[tuple[str, str, str], bytes | None]:
        """(oid, path, work tree) -> bytes of each document of one work tree that no ref holds.

        Where no file and no tree of documents has changed since the last time, nothing is opened.
        """
        files = list(places.listing(root, self._folder))
        stamps = "\n".join(f"{path} {s.st_size} {s.st_mtime_ns} {s.st_ino}" for path, s in files)
        tree = name_text(str(root))
        name, look = f"files {tree}", _sha256(stamps + self._log.fact("trees"))
        if self._log.fact(name) == look:
            return dict.fromkeys(have)
        found: dict[tuple[str, str, str], bytes | None] = {}
        for path, _ in files:
            read = places.read_draft(root, path, self._repository.object_format)
            if read and not any(self._is_on_ref(oid) for oid, _ in read):
                oid, data = read[0]
                found[oid, name_text(path), tree] = data
        self._log.remember(name, look)
        return found

    def _is_on_ref(self, oid: str) -> bool:
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
