"""Documents of the log: where they are, when they are added and removed, and what extractors read in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from patina_hooks.corpus.folder_stamps import hash_text
from patina_hooks.corpus.locations import ABSENT, find_skip_reason
from patina_hooks.corpus.observations import (
    Extractors,
    add_live_document,
    find_failed_locations,
    find_outdated_locations,
    find_unread_objects,
    forget_failed,
    parse_redaction_rules,
    remove_live_document,
    renew_live_documents,
    store_source,
)
from patina_hooks.corpus.outcome import Progress, ReconcileResult
from patina_hooks.corpus.sources import BY_HAND, FileSource, Sources
from patina_hooks.corpus.tree_files.limits import TOO_MANY_FILES, cap_order, find_content_reason
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

_MOST_FAILURES = 20  # in a sync, which then leaves the other documents that failed before to the next one


class Documents:
    """The documents of one log, for a reconcile that writes it; its changes are counted in `result`."""

    def __init__(
        self,
        repository: Repository,
        log: Log,
        extractors: Extractors,
        sources: Sources,
        progress: Progress,
        result: ReconcileResult,
        history: Log | None = None,
    ) -> None:
        """List the scopes. history: the log that dates files of other collections."""
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
        """A text that changes when the trees of refs have other documents."""
        return hash_text(" ".join(self._log.fact(f"trees {trees.scope.name}") for trees in self._trees))

    @property
    def reads_heads(self) -> bool:
        """Whether a source reads the trees of checked-out HEADs."""
        return any(trees.scope.trees == "heads" for trees in self._trees)

    def renew(self) -> None:
        """Read everything with new extractors, and delete results of others that do not stay.

        There is nothing to do if two environments with different extractors take turns.
        """
        # First: a kind that is of another collection now has no extractor here, and still live results.
        self._follow_sources()
        if not self._extractors.keeps_absent:
            self._extractors.kept_tags = ()
        outdated = find_outdated_locations(self._db, self._extractors)
        if drafts := [location for location in outdated if location.work_tree]:
            for location in drafts:
                self.remove(location)
            for name in self._log.facts("files "):
                self._log.forget(name)
        self._read_again([location for location in outdated if not location.work_tree])
        tags, redaction = observations.read_extractor_tags(self._db), self._extractors.redaction
        unused = tags.difference(self._extractors.all_tags, self._extractors.kept_tags)
        observations.delete_extractor_tags(self._db, unused)
        # A killed sync may have recorded events by rules that only the tags name.
        rules = {self._log.fact("redaction"), *map(parse_redaction_rules, tags)}
        if redaction.signature and rules != {redaction.signature}:
            rewrite_details(self._db, redaction.redact)

    def retry(self) -> None:
        """Read documents again on which an extractor failed: what it lacked may be there now."""
        waiting, failures = find_failed_locations(self._db, self._extractors), 0
        while waiting and failures < _MOST_FAILURES:
            batch, waiting = waiting[:_MOST_FAILURES], waiting[_MOST_FAILURES:]
            before = self._extractors.failures
            forget_failed(self._db, self._extractors, [location.oid for location in batch])
            self._read_again(batch)
            failures += self._extractors.failures - before
            self._result.retried = True

    def _read_again(self, locations: list[DocumentLocation]) -> None:
        """Renew the observations of documents that stay where they are."""
        commits = [location.oid for location in locations if not location.path]
        self._extract_commits(commits)
        mark_commits(self._db, commits)
        self._extract_blobs([location for location in locations if location.path])
        for oid in dict.fromkeys(location.oid for location in locations):
            renew_live_documents(self._db, self._extractors, oid, self._result.changed, self._sources.facts)
            self._result.dirty |= documents.read_sessions_of_object(self._db, oid)

    def update(self, commits: Mapping[Trees, set[str]], packs: str) -> None:
        """Make the log's documents those in the trees of these commits.

        Args:
            commits: by the trees that sources name.
            packs: a digest that changes when a partial clone fetches objects.
        """
        self._follow_sources()
        arrived = self._find_arrived()
        for trees in self._trees:
            self._update_scope(trees, commits[trees.scope.trees], packs, arrived)

    def _update_scope(self, trees: DocumentTrees, commits: set[str], packs: str, arrived: set[str]) -> None:
        old = trees.known()
        new = trees.look(commits, f"{self._sources.signature} {packs}")
        fact = f"trees {trees.scope.name}"
        key, before = trees.key(new), self._log.fact(fact)
        if key == before and not arrived:
            return
        can_follow = trees.key(old) == before and not arrived
        changes = trees.changes(old, new) if can_follow else None
        added, removed = changes or self._compare(trees, new, arrived)
        for location in sorted(self._stored(removed | added.left_out.keys(), trees), key=_order):
            self.remove(location)
        left_out.delete_left_out(self._db, removed)
        left_out.store_left_out(
            self._db, (LeftOut(path, oid, reason) for (path, oid), reason in sorted(added.left_out.items()))
        )
        observations.delete_skipped(self._db, arrived)
        fresh = sorted(
            (location for location in added.documents if not self._is_stored(location)), key=_order
        )
        fresh = [location for source in trees.scope.sources for location in self._within_cap(source, fresh)]
        self._extract_blobs(fresh)
        for location in fresh:
            self.add(location)
        # Absent objects of a tree are read once they arrive. Trees that were followed are present.
        are_present = changes is not None or all(self._repository.exists(sorted(new)).values())
        is_complete = are_present and not trees.is_incomplete
        self._log.remember(fact, key if is_complete else "")
        trees.remember(new)

    def _within_cap(self, source: FileSource, fresh: list[DocumentLocation]) -> list[DocumentLocation]:
        """Return the documents of a source to add, so that it has the first ones by `cap_order`.

        fresh: new documents of any kind; their rows as files that are left out are deleted.
        """
        kind = source.kind
        of_kind = [location for location in fresh if location.kind == kind]
        crowded = left_out.has_crowded_out(self._db, kind)
        most = source.most
        if most is None or not (
            crowded or documents.count_files_of_kind(self._db, kind) + len(of_kind) > most
        ):
            left_out.delete_left_out(self._db, [(location.path, location.oid) for location in of_kind])
            return of_kind
        waiting = {(row.path, row.oid): row.read_as for row in left_out.read_crowded_out(self._db, kind)}
        locations = documents.read_locations_of_files(self._db)
        stored = {(location.path, location.oid): location for location in locations if location.kind == kind}
        fresh_files = {(location.path, location.oid): location for location in of_kind}
        ordered = sorted({*waiting, *stored, *fresh_files}, key=lambda file: cap_order(*file))
        within, beyond = ordered[:most], ordered[most:]
        for file in sorted(stored.keys() & set(beyond)):
            self.remove(stored[file])
        left_out.delete_left_out(self._db, within)
        moved = {**stored, **fresh_files}
        left_out.store_left_out(
            self._db,
            (LeftOut(*file, TOO_MANY_FILES, kind, moved[file].read_as) for file in beyond if file in moved),
        )
        return [
            fresh_files.get(file) or self._waiting_location(kind, file, waiting)
            for file in within
            if file not in stored
        ]

    def _waiting_location(
        self, kind: str, file: tuple[str, str], read_as: Mapping[tuple[str, str], str]
    ) -> DocumentLocation:
        path, oid = file
        return replace(self._sources.location(kind, oid, path), read_as=read_as[file])

    def _follow_sources(self) -> None:
        """Have all trees listed again after a change of sources: files may have another one or none."""
        if self._log.fact("sources") == self._sources.signature:
            return
        self._log.remember("sources", self._sources.signature)
        left_out.delete_all_left_out(self._db)
        kinds = {kind for trees in self._trees for kind in trees.scope.kinds}
        for location in sorted(documents.read_locations_of_files(self._db), key=_order):
            if location.kind not in kinds:
                self.remove(location)
        for location in sorted(documents.read_drafts(self._db), key=_order):
            if location.kind not in kinds:
                self.remove(location)
        names = {trees.scope.name for trees in self._trees}
        for scope in live_refs.read_tree_scopes(self._db) - names:
            live_refs.delete_trees(self._db, scope, live_refs.read_tree_targets(self._db, scope))
        for name in (*self._log.facts("trees "), *self._log.facts("files ")):
            self._log.forget(name)

    def cover(self, parents: Iterable[str], *, from_nothing: bool) -> None:
        """Mark the commits of live refs that are parents of recorded commits.

        Args:
            parents: of the commits that were recorded since the last look.
            from_nothing: remove older marks, since commits were removed.
        """
        live_refs.cover_targets(self._db, sorted(parents), from_nothing=from_nothing)

    def _is_stored(self, location: DocumentLocation) -> bool:
        stored = documents.read_document(self._db, location.oid, location.path, "")
        if stored is None or stored.location == location:
            return stored is not None
        self.remove(stored.location)
        return False

    def _stored(self, files: Iterable[tuple[str, str]], trees: DocumentTrees) -> set[DocumentLocation]:
        """Return the stored documents of a scope among these files."""
        rows = (documents.read_document(self._db, oid, path, "") for path, oid in files)
        return {row.location for row in rows if row and row.location.kind in trees.scope.kinds}

    def _compare(
        self, trees: DocumentTrees, new: set[str], arrived: set[str]
    ) -> tuple[TreeFiles, set[tuple[str, str]]]:
        """Return added and removed files by a comparison of all files.

        arrived: objects to read again.
        """
        stored = documents.read_locations_of_files(self._db)
        before = {location for location in stored if location.kind in trees.scope.kinds}
        after = trees.files(new)
        unchanged = {location for location in before & after.documents if location.oid not in arrived}
        removed = {(location.path, location.oid) for location in before - unchanged}
        if trees.scope.trees == "heads":
            files = {(location.path, location.oid) for location in after.documents}
            removed |= left_out.read_left_out(self._db) - files
        return TreeFiles(after.documents - unchanged, after.left_out), removed

    def _find_arrived(self) -> set[str]:
        """Return objects that a partial clone lacked when they were read, and that were fetched since."""
        absent = observations.read_skipped(self._db, ABSENT)
        return {oid for oid, is_present in self._repository.exists(absent).items() if is_present}

    def _extract_commits(self, oids: list[str]) -> None:
        unread = find_unread_objects(self._db, self._extractors, self._sources.message_kind, oids)
        for commit in self._repository.commits(unread):
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
            if find_unread_objects(
                self._db, self._extractors, location.kind, [location.oid], location.read_as
            ):
                by_limit.setdefault(self._sources.largest(location.kind), []).append(location)
        total, finished = sum(map(len, by_limit.values())), 0
        for largest, group in by_limit.items():
            blobs = self._repository.blobs([location.oid for location in group], largest)
            for location, blob in zip(group, blobs, strict=True):
                if reason := self.extract(location, blob):
                    self._log.record_once("skipped", [(location.path, reason, self._date(location))])
                finished += 1
                self._progress("reading documents", finished, total)

    def extract(self, location: DocumentLocation, blob: Blob) -> str:
        """Read one file; return the reason if it is not read, or not to its end, else ""."""
        reason = self._find_skip_reason(location, blob)
        text = "" if reason else (blob.data or b"").decode("utf-8", "replace")
        document = self._sources.document(location, text)
        unread = store_source(self._db, self._extractors, document, reason, location.read_as)
        return reason or unread

    def _find_skip_reason(self, location: DocumentLocation, blob: Blob) -> str:
        if self._extractors.collection == HISTORY:
            return find_skip_reason(blob, self._sources.largest(location.kind))
        return find_content_reason(blob, by_hand=location.read_as.endswith(BY_HAND))

    def add(self, location: DocumentLocation) -> None:
        """Add a document whose object has been read."""
        session = location.session or self._stated_session(location)
        add_live_document(
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
        """Return the facts of a document, dated by the last commit of its path if they have no date."""
        facts = self._sources.facts(location.kind, location.path)
        if facts.date is not None or self._history is None:
            return facts
        return replace(facts, date=read_change_time(self._history.connection, location.path))

    @property
    def is_first_read(self) -> bool:
        """Whether no sync has finished yet: new documents may be as old as the repository."""
        return not self._log.fact("synced")

    def _date(self, location: DocumentLocation) -> int | None:
        """Return the event time of a document: its own date on a first read, else now (None)."""
        return self._sources.facts(location.kind, location.path).date if self.is_first_read else None

    def remove(self, location: DocumentLocation) -> None:
        """Remove a document."""
        remove_live_document(self._db, location, self._result.changed)
        self._log.record("left", [(location.path, location.oid)])
        if location.session:
            self._result.dirty.add(location.session)

    def _stated_session(self, location: DocumentLocation) -> str | None:
        """Return the session id that a draft states, since its name has none."""
        if not location.work_tree:
            return None
        stated = observations.read_stated_fields(self._db, location.oid)
        ids = (str(fields.get("id", "")).removesuffix(".md") for fields in stated)
        return next((session for session in ids if is_session_id(session)), None)


def _order(location: DocumentLocation) -> tuple[str, str, str]:
    return (location.work_tree, location.path, location.oid)
