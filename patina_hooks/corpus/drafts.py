"""Drafts: documents that are in a work tree and in no ref."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from patina_hooks.corpus import locations
from patina_hooks.corpus.documents import Documents
from patina_hooks.corpus.folder_stamps import hash_text
from patina_hooks.corpus.sources import FileSource, Sources
from patina_hooks.git.repository import Blob, Repository
from patina_hooks.store.corpus import documents as stored
from patina_hooks.store.corpus.documents import DocumentLocation
from patina_hooks.store.log import Log, escape_name

Draft = tuple[str, str, str]
"""Object, path and work tree."""


class Drafts:
    """The drafts of one log; work trees are stamped before git is read, and drafts updated last."""

    def __init__(
        self, repository: Repository, log: Log, documents: Documents, sources: Sources, *, quick: bool
    ) -> None:
        """Find the folders of drafts. quick: see `patina_hooks.corpus.reconcile`."""
        self._repository = repository
        self._log = log
        self._db = log.connection
        self._documents = documents
        self._sources = sources
        self._patterns = tuple(pattern for source in sources.files for pattern in source.drafts)
        self._quick = quick

    def look_at(self, roots: list[Path]) -> tuple[dict[Path, str], locations.DraftListings]:
        """Stamp each work tree, and start to list those that may have changed since the last look."""
        stamps = {
            root: locations.stamp_drafts(root, self._patterns, self._known_paths(root)) for root in roots
        }
        moved = [root for root in roots if not self._is_unchanged(root, stamps[root])]
        return stamps, locations.DraftListings(self._patterns, at_once=moved)

    def list_watched_paths(self, roots: list[Path]) -> list[Path]:
        """List the folders of these work trees in which drafts may appear, and the known drafts."""
        return [
            path
            for root in roots
            for path in locations.list_draft_paths(root, self._patterns, self._known_paths(root))
        ]

    def update(self, stamps: Mapping[Path, str], listings: locations.DraftListings) -> None:
        """Make the log's drafts those of these work trees, after the documents of refs are updated."""
        rows = stored.read_drafts(self._db)
        before = {(row.oid, row.path, row.work_tree): row for row in rows}
        after: dict[Draft, Blob | None] = {}
        listed: set[str] = set()
        for root, stamp in stamps.items():
            tree = escape_name(str(root))
            of_root = [draft for draft in before if draft[2] == tree]
            if self._is_unchanged(root, stamp):
                after |= dict.fromkeys(of_root)
            else:
                after |= self._read_drafts(root, stamp, listings.get(root), of_root)
            listed.add(f"files {tree}")
        # A work tree that is absent now is listed again when it is back.
        for name in self._log.facts("files "):
            if name not in listed:
                self._log.forget(name)
                stored.delete_files(self._db, name.removeprefix("files "))
        for draft in sorted(before.keys() - after.keys()):
            self._documents.remove(before[draft])
        for draft in sorted(after.keys() - before.keys()):
            oid, path, tree = draft
            if source := self._sources.draft_source(path):
                location = DocumentLocation(source.kind, oid, path, tree)
                if blob := after[draft]:
                    self._documents.extract(location, blob)
                self._documents.add(location)

    def _known_paths(self, root: Path) -> list[str]:
        return stored.read_draft_paths(self._db, escape_name(str(root)))

    def _is_unchanged(self, root: Path, stamp: str) -> bool:
        """Whether a quick look shows a work tree and the trees of documents as at the last look."""
        _, _, stored_hash = self._log.fact(f"files {escape_name(str(root))}").partition(" ")
        return self._quick and stamp != "" and stored_hash == self._hash_stamp(stamp)

    def _hash_stamp(self, stamp: str) -> str:
        return hash_text(stamp + self._documents.token) if stamp else ""

    def _read_drafts(
        self, root: Path, stamp: str, listing: locations.DraftListing, before: list[Draft]
    ) -> dict[Draft, Blob | None]:
        """Return the blob of each document of one work tree that no ref holds.

        Nothing is opened if no file and no tree of documents has changed since the last time.
        """
        tree = escape_name(str(root))
        name, state = f"files {tree}", hash_text(listing.stamps + self._documents.token)
        state_before, _, _ = self._log.fact(name).partition(" ")
        self._log.remember(name, f"{state} {self._hash_stamp(stamp)}")
        if state_before == state:
            return dict.fromkeys(before)
        drafts: dict[Draft, Blob | None] = {}
        stamps_on_refs = stored.read_files_held(self._db, tree)
        for path, file_stamp in listing.files.items():
            file = escape_name(path)
            source = self._sources.draft_source(file)
            if source is None or stamps_on_refs.get(file) == file_stamp:
                continue
            blobs = self._read(root, path, source)
            if not blobs and not os.path.lexists(root / path):
                # Moved meanwhile, as the document of a session that ends.
                return self._read_drafts(root, stamp, locations.list_drafts(root, self._patterns), before)
            on_refs = [blob.oid for blob in blobs if stored.is_on_a_ref(self._db, blob.oid)]
            if blobs and not on_refs:
                drafts[blobs[0].oid, file, tree] = blobs[0]
            elif on_refs and path in listing.settled:
                stored.store_file(self._db, tree, file, file_stamp, on_refs[0])
        return drafts

    def _read(self, root: Path, path: str, source: FileSource) -> list[Blob]:
        return locations.read_draft(root, path, self._repository.object_format, source.spec.largest)
