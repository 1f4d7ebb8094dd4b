"""Documents of the log: what extractors read in them, where they lie, when they come and when they leave."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from patina_hooks.corpus.folder_stamps import hash_text
from patina_hooks.corpus.locations import ABSENT, reason_to_skip
from patina_hooks.corpus.observations import (
    Extractors,
    add_document,
    failed_locations,
    forget_failed,
    missing_sources,
    outdated_locations,
    remove_document,
    renew_documents,
    rules_of,
    store_source,
)
from patina_hooks.corpus.outcome import Progress, Reconciled
from patina_hooks.corpus.sources import BY_HAND, FileSource, Sources
from patina_hooks.corpus.tree_files.limits import TOO_MANY_FILES, cap_order, content_reason
from patina_hooks.corpus.trees import DocumentTrees, TreeFiles
from patina_hooks.git.repository import Blob, Repository
from patina_hooks.specs.sources import HISTORY, DocumentFacts, Trees
from patina_hooks.specs.values import Commit, Document
from patina_hooks.store.corpus import documents, left_out, live_refs, observations
from patina_hooks.store.corpus.commits import read_change_time
from patina_hooks.store.corpus.documents import DocumentLocation
from patina_hooks.store.corpus.left_out import LeftOut
from patina_hooks.store.events import rewrite_details
from patina_hooks.store.log import Log
from patina_hooks.store.pairs.scopes import mark_commits
from patina_hooks.text.session_ids import is_session_id

_MOST_FAILURES = 20  # that a sync bears before it leaves what else failed before to the next


class Documents:
    """The documents of one log, for a reconcile that holds it for writing; what it changes is in `result`."""

    def __init__(
        self,
        repository: Repository,
        log: Log,
        extractors: Extractors,
        sources: Sources,
        progress: Progress,
        result: Reconciled,
        history: Log | None = None,
    ) -> None:
        """history: the log that knows when a file changed, for a collection other than history."""
        self._repository = repository
        self._history = history
        self._log = log
        self._db = log.connection
        self._extractors = extractors
        self._sources = sources
        self._progress = progress
        self._result = result
        scopes = sources.scopes(extractors.collection)
        self._trees = [DocumentTrees(repository, log, sources, scope) for scope in scopes]

    @property
    def token(self) -> str:
        """What changes when the trees of refs hold other documents."""
        return hash_text(" ".join(self._log.fact(f"trees {trees.scope.name}") for trees in self._trees))

    @property
    def reads_heads(self) -> bool:
        """Whether a source reads the trees of checked-out HEADs."""
        return any(trees.scope.trees == "heads" for trees in self._trees)

    def renew(self) -> None:
        """The extractors changed: new ones read everything, and what does not stay of others goes.

        Where two environments with different extractors take turns, there is nothing to do.
        """
        if not self._extractors.keeps_absent:
            self._extractors.kept = ()
        outdated = outdated_locations(self._db, self._extractors)
        if drafts := [location for location in outdated if location.work_tree]:
            for location in drafts:
                self.take_out(location)
            for name in self._log.facts("files "):
                self._log.forget(name)
        self._read_again([location for location in outdated if not location.work_tree])
        tags, redaction = observations.read_tags(self._db), self._extractors.redaction
        gone = tags.difference(self._extractors.all_tags, self._extractors.kept)
        observations.delete_tags(self._db, gone)
        # A killed sync may have recorded events by rules that only tags tell of.
        rules = {self._log.fact("redaction"), *map(rules_of, tags)}
        if redaction.signature and rules != {redaction.signature}:
            rewrite_details(self._db, redaction.redact)

    def retry(self) -> None:
        """What an extractor failed on is tried again, in case that what it lacked is there now."""
        waiting, failures = failed_locations(self._db, self._extractors), 0
        while waiting and failures < _MOST_FAILURES:
            batch, waiting = waiting[:_MOST_FAILURES], waiting[_MOST_FAILURES:]
            before = self._extractors.failures
            forget_failed(self._db, self._extractors, [location.oid for location in batch])
            self._read_again(batch)
            failures += self._extractors.failures - before
            self._result.retried = True

    def _read_again(self, locations: list[DocumentLocation]) -> None:
        """Have documents that stay where they are hold what the extractors in force make of them."""
        commits = [location.oid for location in locations if not location.path]
        self._extract_commits(commits)
        mark_commits(self._db, commits)
        self._extract_blobs([location for location in locations if location.path])
        for oid in dict.fromkeys(location.oid for location in locations):
            renew_documents(self._db, self._extractors, oid, self._result.changed, self._sources.facts)
            self._result.dirty |= documents.read_sessions_of_object(self._db, oid)

    def update(self, commits: Mapping[Trees, set[str]], packs: str) -> None:
        """Make the log's documents those that lie in the trees of these commits.

        packs: changes when objects arrived that a partial clone lacked.
        """
        if self._log.fact("sources") != self._sources.signature:
            self._forget_scopes()
            self._log.remember("sources", self._sources.signature)
        arrived = self._arrived()
        for trees in self._trees:
            self._update_scope(trees, commits[trees.scope.trees], packs, arrived)

    def _update_scope(self, trees: DocumentTrees, commits: set[str], packs: str, arrived: set[str]) -> None:
        old = trees.known()
        new = trees.look(commits, f"{self._sources.signature} {packs}")
        fact = f"trees {trees.scope.name}"
        key, before = trees.key(new), self._log.fact(fact)
        if key == before and not arrived:
            return
        followed = trees.key(old) == before and not arrived
        changes = trees.changes(old, new) if followed else None
        came, left = changes or self._compare(trees, new, arrived)
        for location in sorted(self._stored(left | came.left_out.keys(), trees), key=_order):
            self.take_out(location)
        left_out.delete_left_out(self._db, left)
        left_out.store_left_out(
            self._db, (LeftOut(path, oid, reason) for (path, oid), reason in sorted(came.left_out.items()))
        )
        observations.delete_skipped(self._db, arrived)
        fresh = sorted((place for place in came.documents if not self._is_stored(place)), key=_order)
        fresh = [place for source in trees.scope.sources for place in self._within_cap(source, fresh)]
        self._extract_blobs(fresh)
        for location in fresh:
            self.put_in(location)
        # What a tree lists that is absent now is read once it is there. Those that were followed are here.
        are_here = changes is not None or all(self._repository.exists(sorted(new)).values())
        is_complete = are_here and not trees.is_incomplete
        self._log.remember(fact, key if is_complete else "")
        trees.remember(new)

    def _within_cap(self, source: FileSource, fresh: list[DocumentLocation]) -> list[DocumentLocation]:
        """Return which documents are to be put in, so that the first ones by `cap_order` are those of a kind.

        fresh: those that came, of any kind; they are forgotten as files that are left out.
        """
        kind = source.kind
        came = [location for location in fresh if location.kind == kind]
        crowded = left_out.has_crowded_out(self._db, kind)
        most = source.most
        if most is None or not (crowded or documents.count_files_of_kind(self._db, kind) + len(came) > most):
            left_out.delete_left_out(self._db, [(location.path, location.oid) for location in came])
            return came
        waiting = {(row.path, row.oid): row.read_as for row in left_out.read_crowded_out(self._db, kind)}
        locations = documents.read_locations_of_files(self._db)
        stored = {(place.path, place.oid): place for place in locations if place.kind == kind}
        fresh_files = {(place.path, place.oid): place for place in came}
        ordered = sorted({*waiting, *stored, *fresh_files}, key=lambda file: cap_order(*file))
        kept, others = ordered[:most], ordered[most:]
        for file in sorted(stored.keys() & set(others)):
            self.take_out(stored[file])
        left_out.delete_left_out(self._db, kept)
        moved = {**stored, **fresh_files}
        left_out.store_left_out(
            self._db,
            (LeftOut(*file, TOO_MANY_FILES, kind, moved[file].read_as) for file in others if file in moved),
        )
        return [
            fresh_files.get(file) or self._waiting_location(kind, file, waiting)
            for file in kept
            if file not in stored
        ]

    def _waiting_location(
        self, kind: str, file: tuple[str, str], read_as: Mapping[tuple[str, str], str]
    ) -> DocumentLocation:
        path, oid = file
        return replace(self._sources.location(kind, oid, path), read_as=read_as[file])

    def _forget_scopes(self) -> None:
        """The sources changed: files may have another one now, and some kinds may have none."""
        left_out.delete_all_left_out(self._db)
        kinds = {kind for trees in self._trees for kind in trees.scope.kinds}
        for location in sorted(documents.read_locations_of_files(self._db), key=_order):
            if location.kind not in kinds:
                self.take_out(location)
        for location in sorted(documents.read_drafts(self._db), key=_order):
            if location.kind not in kinds:
                self.take_out(location)
        names = {trees.scope.name for trees in self._trees}
        for scope in live_refs.read_tree_scopes(self._db) - names:
            live_refs.delete_trees(self._db, scope, live_refs.read_tree_targets(self._db, scope))
        for name in (*self._log.facts("trees "), *self._log.facts("files ")):
            self._log.forget(name)

    def cover(self, parents: Iterable[str], *, again: bool) -> None:
        """Mark the tips that are among the parents of recorded commits.

        Args:
            parents: of the commits that were recorded since the last look.
            again: forget older marks, since commits are gone.
        """
        live_refs.cover_targets(self._db, sorted(parents), again=again)

    def _is_stored(self, location: DocumentLocation) -> bool:
        stored = documents.read_document(self._db, location.oid, location.path, "")
        if stored is None or stored.location == location:
            return stored is not None
        self.take_out(stored.location)
        return False

    def _stored(self, files: Iterable[tuple[str, str]], trees: DocumentTrees) -> set[DocumentLocation]:
        """Return the documents of a scope that are stored of these files."""
        rows = (documents.read_document(self._db, oid, path, "") for path, oid in files)
        return {row.location for row in rows if row and row.location.kind in trees.scope.kinds}

    def _compare(
        self, trees: DocumentTrees, new: set[str], arrived: set[str]
    ) -> tuple[TreeFiles, set[tuple[str, str]]]:
        """Return files that came and those that left, of all that there are.

        arrived: objects to read again.
        """
        stored = documents.read_locations_of_files(self._db)
        have = {location for location in stored if location.kind in trees.scope.kinds}
        want = trees.files(new)
        stay = {location for location in have & want.documents if location.oid not in arrived}
        left = {(location.path, location.oid) for location in have - stay}
        if trees.scope.trees == "heads":
            left |= left_out.read_left_out(self._db) - {(place.path, place.oid) for place in want.documents}
        return TreeFiles(want.documents - stay, want.left_out), left

    def _arrived(self) -> set[str]:
        """Documents that a partial clone lacked when they were read, and that were fetched since."""
        absent = observations.read_skipped(self._db, ABSENT)
        return {oid for oid, here in self._repository.exists(absent).items() if here}

    def _extract_commits(self, oids: list[str]) -> None:
        wanted = missing_sources(self._db, self._extractors, self._sources.message_kind, oids)
        for commit in self._repository.commits(wanted):
            self.extract_message(commit)

    def extract_message(self, commit: Commit) -> None:
        """Read a commit's message."""
        message = Document(self._sources.message_kind, commit.oid, commit.message)
        if unread := store_source(self._db, self._extractors, message):
            self._log.record_once("skipped", [(commit.oid, unread, commit.committed)])

    def _extract_blobs(self, locations: Iterable[DocumentLocation]) -> None:
        """Extract files that some extractor in force has not read."""
        by_limit: dict[int, list[DocumentLocation]] = {}
        distinct = {(location.oid, location.read_as): location for location in locations}
        for location in distinct.values():
            if missing_sources(self._db, self._extractors, location.kind, [location.oid], location.read_as):
                by_limit.setdefault(self._sources.largest(location.kind), []).append(location)
        total, done = sum(map(len, by_limit.values())), 0
        for largest, wanted in by_limit.items():
            blobs = self._repository.blobs([location.oid for location in wanted], largest)
            for location, blob in zip(wanted, blobs, strict=True):
                if reason := self.extract(location, blob):
                    self._log.record_once("skipped", [(location.path, reason, self._date(location))])
                done += 1
                self._progress("reading documents", done, total)

    def extract(self, location: DocumentLocation, blob: Blob) -> str:
        """Read one file; return why it cannot be, or not to its end, "" where it can."""
        reason = self._reason_to_skip(location, blob)
        text = "" if reason else (blob.data or b"").decode("utf-8", "replace")
        document = self._sources.document(location, text)
        unread = store_source(self._db, self._extractors, document, reason, location.read_as)
        return reason or unread

    def _reason_to_skip(self, location: DocumentLocation, blob: Blob) -> str:
        if self._extractors.collection == HISTORY:
            return reason_to_skip(blob, self._sources.largest(location.kind))
        return content_reason(blob, by_hand=location.read_as.endswith(BY_HAND))

    def put_in(self, location: DocumentLocation) -> None:
        """Add a document whose object has been read."""
        session = location.session or self._stated_session(location)
        add_document(
            self._db,
            self._extractors,
            replace(location, session=session),
            self._result.changed,
            self._dated_facts(location),
        )
        self._log.record_once("document", [(location.path, location.oid, self._date(location))])
        if session:
            self._result.dirty.add(session)

    def _dated_facts(self, location: DocumentLocation) -> DocumentFacts:
        """Return what a source states of a document, by default dated by the last commit of its path."""
        facts = self._sources.facts(location.kind, location.path)
        if facts.date is not None or self._history is None:
            return facts
        return replace(facts, date=read_change_time(self._history.connection, location.path))

    @property
    def is_first_read(self) -> bool:
        """Whether no sync has come to its end yet: what is found may be as old as the repository."""
        return not self._log.fact("synced")

    def _date(self, location: DocumentLocation) -> int | None:
        """When a document was begun that a first read finds; what comes later is dated now."""
        return self._sources.facts(location.kind, location.path).date if self.is_first_read else None

    def take_out(self, location: DocumentLocation) -> None:
        """Remove a document."""
        remove_document(self._db, location, self._result.changed)
        self._log.record("left", [(location.path, location.oid)])
        if location.session:
            self._result.dirty.add(location.session)

    def _stated_session(self, location: DocumentLocation) -> str | None:
        """The id that a document gives itself, where its name gives none (a draft)."""
        if not location.work_tree:
            return None
        fields = observations.read_stated_fields(self._db, location.oid)
        stated = (str(of_one.get("id", "")).removesuffix(".md") for of_one in fields)
        return next((text for text in stated if is_session_id(text)), None)


def _order(location: DocumentLocation) -> tuple[str, str, str]:
    return (location.work_tree, location.path, location.oid)
