"""Documents of the log: what extractors read in them, where they lie, when they come and when they leave."""

from __future__ import annotations

import json

from patina_hooks.corpus import places
from patina_hooks.corpus.observations import (
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
    rules_of,
    store_source,
    stored_tags,
)
from patina_hooks.corpus.outcome import Progress, Reconciled
from patina_hooks.corpus.stamps import digest
from patina_hooks.corpus.trees import DocumentTrees
from patina_hooks.corpus.units import mark_commits
from patina_hooks.git.repository import DOCUMENT_CAP, Blob, Repository
from patina_hooks.specs.values import Commit, Document
from patina_hooks.store.events import rewrite_details
from patina_hooks.store.log import Log
from patina_hooks.text.session_ids import moment_of

_MOST_FAILURES = 20  # that a sync bears before it leaves what else failed before to the next


class Documents:
    """The documents of one log, for a reconcile that holds it for writing; what it changes is in `result`."""

    def __init__(
        self,
        repository: Repository,
        log: Log,
        extractors: Extractors,
        folder: str,
        progress: Progress,
        result: Reconciled,
    ) -> None:
        """folder: where session documents are archived, from the root of a work tree."""
        self._repository = repository
        self._log = log
        self._db = log.connection
        self._extractors = extractors
        self._folder = folder
        self._progress = progress
        self._result = result
        self.trees = DocumentTrees(repository, log, folder)

    def renew(self) -> None:
        """The extractors changed: new ones read everything, and what does not stay of others goes.

        Where two environments with different extractors take turns, there is nothing to do.
        """
        if not self._extractors.keeps_absent:
            self._extractors.kept = ()
        outdated = outdated_places(self._db, self._extractors)
        if drafts := [place for place in outdated if place.work_tree]:
            for place in drafts:
                self.take_out(place)
            self._db.execute("DELETE FROM fact WHERE name LIKE 'files %'")
        self._read_again([place for place in outdated if not place.work_tree])
        tags, redaction = stored_tags(self._db), self._extractors.redaction
        forget_sources(self._db, tags.difference(self._extractors.all_tags, self._extractors.kept))
        # A killed sync may have recorded events by rules that only tags tell of.
        rules = {self._log.fact("redaction"), *map(rules_of, tags)}
        if redaction.signature and rules != {redaction.signature}:
            rewrite_details(self._db, redaction.redact)

    def retry(self) -> None:
        """What an extractor failed on is tried again, in case that what it lacked is there now."""
        waiting, failures = failed_places(self._db, self._extractors), 0
        while waiting and failures < _MOST_FAILURES:
            batch, waiting = waiting[:_MOST_FAILURES], waiting[_MOST_FAILURES:]
            before = self._extractors.failures
            forget_failed(self._db, self._extractors, [place.oid for place in batch])
            self._read_again(batch)
            failures += self._extractors.failures - before
            self._result.retried = True

    def _read_again(self, places: list[Place]) -> None:
        """Have documents that stay where they are say what the extractors in force make of them."""
        commits = [place.oid for place in places if not place.path]
        self._extract_commits(commits)
        mark_commits(self._db, commits)
        self._extract_blobs({place.oid: place.path for place in places if place.path})
        for oid in dict.fromkeys(place.oid for place in places):
            renew_documents(self._db, self._extractors, oid, self._result.changed)
        ask = (
            "SELECT sc.session FROM session_commit sc JOIN commits c ON c.id = sc.commit_id WHERE c.oid = ?"
            " UNION SELECT session FROM document WHERE oid = ? AND session IS NOT NULL"
        )
        for place in places:
            self._result.dirty |= {row[0] for row in self._db.execute(ask, (place.oid, place.oid))}

    def update(self, commits: set[str], packs: str) -> None:
        """Make the log's documents those that lie in the trees of these commits.

        packs: changes when objects arrived that a partial clone lacked.
        """
        old = self.trees.known()
        new = self.trees.look(commits, f"{self._folder} {packs}")
        key = digest(" ".join([self._folder, *sorted(new)]))
        arrived = self._arrived()
        if key == self._log.fact("trees") and not arrived:
            return
        followed = digest(" ".join([self._folder, *sorted(old)])) == self._log.fact("trees")
        changes = self.trees.changes(old, new) if followed and not arrived else None
        came, left = changes or self._compare(new, arrived)
        for place in sorted(left, key=_order):
            self.take_out(place)
        forget_skipped(self._db, arrived)
        fresh = sorted((place for place in came if not self._is_placed(place)), key=_order)
        self._extract_blobs({place.oid: place.path for place in fresh})
        for place in fresh:
            self.put_in(place)
        # What a tree lists that is absent now is read once it is there.
        self._log.remember("trees", key if all(self._repository.exists(sorted(new)).values()) else "")

    def _is_placed(self, place: Place) -> bool:
        known = "SELECT 1 FROM document WHERE oid = ? AND path = ? AND work_tree = ''"
        return self._db.execute(known, (place.oid, place.path)).fetchone() is not None

    def _compare(self, trees: set[str], arrived: set[str]) -> tuple[set[Place], set[Place]]:
        """Return places that came and that left, of all that there are. arrived: objects to read again."""
        rows = self._db.execute(
            "SELECT kind, oid, path, work_tree, session FROM document WHERE path != '' AND work_tree = ''"
        )
        have = {Place(*row) for row in rows}
        want = places.places_in(self._repository, trees, self._folder)
        stay = {place for place in have & want if place.oid not in arrived}
        return want - stay, have - stay

    def _arrived(self) -> set[str]:
        """Documents that a partial clone lacked when they were read, and that were fetched since."""
        rows = self._db.execute(
            "SELECT DISTINCT oid FROM source WHERE skipped != '' AND skipped = ?", (places.ABSENT,)
        )
        return {oid for oid, here in self._repository.exists([row[0] for row in rows]).items() if here}

    def _extract_commits(self, oids: list[str]) -> None:
        wanted = missing_sources(self._db, self._extractors, self._extractors.message_kind, oids)
        for commit in self._repository.commits(wanted):
            self.extract_message(commit)

    def extract_message(self, commit: Commit) -> None:
        """Read a commit's message."""
        message = Document(self._extractors.message_kind, commit.oid, commit.message)
        if unread := store_source(self._db, self._extractors, message):
            self._log.record_once("skipped", [(commit.oid, unread, commit.committed)])

    def _extract_blobs(self, paths: dict[str, str]) -> None:
        """Extract session documents that some extractor in force has not read; oid -> path."""
        wanted = missing_sources(self._db, self._extractors, "session", paths)
        for done, blob in enumerate(self._repository.blobs(wanted, DOCUMENT_CAP), 1):
            if reason := self.extract(blob):
                self._log.record_once("skipped", [(paths[blob.oid], reason, self._date(paths[blob.oid]))])
            self._progress("reading documents", done, len(wanted))

    def extract(self, blob: Blob) -> str:
        """Read one session document; gives why it cannot be, or not to its end, "" where it can."""
        reason = places.reason_to_skip(blob)
        text = "" if reason else (blob.data or b"").decode("utf-8", "replace")
        unread = store_source(self._db, self._extractors, Document("session", blob.oid, text), reason)
        return reason or unread

    def put_in(self, place: Place) -> None:
        session = place.session or self._stated_session(place)
        add_document(
            self._db,
            self._extractors,
            Place(place.kind, place.oid, place.path, place.work_tree, session),
            self._result.changed,
        )
        self._log.record_once("document", [(place.path, place.oid, self._date(place.path))])
        if session:
            self._result.dirty.add(session)

    @property
    def is_first_read(self) -> bool:
        """Whether no sync has come to its end yet: what is found may be as old as the repository."""
        return not self._log.fact("synced")

    def _date(self, path: str) -> int | None:
        """When the session of a document began that a first read finds; what comes later is dated now."""
        session = places.session_of(path.rpartition("/")[2])
        return moment_of(session) if session and self.is_first_read else None

    def take_out(self, place: Place) -> None:
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

    def has(self, oid: str) -> bool:
        """Whether a ref holds this object, as a document or as a commit."""
        ask = "SELECT 1 FROM document WHERE oid = ? AND work_tree = ''"
        return self._db.execute(ask, (oid,)).fetchone() is not None


def _order(place: Place) -> tuple[str, str, str]:
    return (place.work_tree, place.path, place.oid)
