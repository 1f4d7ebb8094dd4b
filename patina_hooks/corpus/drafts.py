"""Drafts: documents that work trees hold and no ref does."""

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
from patina_hooks.store.log import Log, name_text

Draft = tuple[str, str, str]
"""Object, path and work tree."""


class Drafts:
    """The drafts of one log. Work trees are looked at before git is asked, and drafts updated last of all."""

    def __init__(
        self, repository: Repository, log: Log, documents: Documents, sources: Sources, *, quick: bool
    ) -> None:
        """quick: see `patina_hooks.corpus.reconcile`."""
        self._repository = repository
        self._log = log
        self._db = log.connection
        self._documents = documents
        self._sources = sources
        self._patterns = tuple(pattern for source in sources.files for pattern in source.drafts)
        self._quick = quick

    def look_at(self, roots: list[Path]) -> tuple[dict[Path, str], locations.Listings]:
        """A stamp of each work tree, and listings begun where that is not what the last look left."""
        stamps = {root: locations.stamp_drafts(root, self._patterns, self._drafts_of(root)) for root in roots}
        moved = [root for root in roots if not self._is_still(root, stamps[root])]
        return stamps, locations.Listings(self._patterns, begin=moved)

    def watched(self, roots: list[Path]) -> list[Path]:
        """List the folders of these work trees in which drafts may come to be, and the known drafts."""
        return [
            path
            for root in roots
            for path in locations.paths_of_drafts(root, self._patterns, self._drafts_of(root))
        ]

    def update(self, stamps: Mapping[Path, str], listings: locations.Listings) -> None:
        """Make the log's drafts those of these work trees, after the documents of refs are in line."""
        drafts = stored.read_drafts(self._db)
        have = {(draft.oid, draft.path, draft.work_tree): draft for draft in drafts}
        want: dict[Draft, Blob | None] = {}
        looked: set[str] = set()
        for root, stamp in stamps.items():
            tree = name_text(str(root))
            of_root = [key for key in have if key[2] == tree]
            still = self._is_still(root, stamp)
            want |= (
                dict.fromkeys(of_root) if still else self._drafts_in(root, stamp, listings.of(root), of_root)
            )
            looked.add(f"files {tree}")
        # A work tree that is not to be found now is looked at again when it is back.
        for name in self._log.facts("files "):
            if name not in looked:
                self._log.forget(name)
                stored.delete_files(self._db, name.removeprefix("files "))
        for key in sorted(have.keys() - want.keys()):
            self._documents.take_out(have[key])
        for key in sorted(want.keys() - have.keys()):
            oid, path, tree = key
            if source := self._sources.draft_source(path):
                location = DocumentLocation(source.kind, oid, path, tree)
                if blob := want[key]:
                    self._documents.extract(location, blob)
                self._documents.put_in(location)

    def _drafts_of(self, root: Path) -> list[str]:
        return stored.read_draft_paths(self._db, name_text(str(root)))

    def _is_still(self, root: Path, stamp: str) -> bool:
        """Whether a quick look finds a work tree, and the trees of documents, as the last look left them."""
        _, _, stamped = self._log.fact(f"files {name_text(str(root))}").partition(" ")
        return self._quick and stamp != "" and stamped == self._stamped(stamp)

    def _stamped(self, stamp: str) -> str:
        return hash_text(stamp + self._documents.token) if stamp else ""

    def _drafts_in(
        self, root: Path, stamp: str, files: locations.Listing, have: list[Draft]
    ) -> dict[Draft, Blob | None]:
        """(oid, path, work tree) -> blob of each document of one work tree that no ref holds.

        Where no file and no tree of documents has changed since the last time, nothing is opened.
        """
        tree = name_text(str(root))
        name, look = f"files {tree}", hash_text(files.stamps + self._documents.token)
        before, _, _ = self._log.fact(name).partition(" ")
        self._log.remember(name, f"{look} {self._stamped(stamp)}")
        if before == look:
            return dict.fromkeys(have)
        found: dict[Draft, Blob | None] = {}
        held = stored.read_files_held(self._db, tree)
        for path, file_stamp in files.files.items():
            file = name_text(path)
            source = self._sources.draft_source(file)
            if source is None or held.get(file) == file_stamp:
                continue
            read = self._read(root, path, source)
            if not read and not os.path.lexists(root / path):
                # Moved meanwhile, as the document of a session that ends.
                return self._drafts_in(root, stamp, locations.listing(root, self._patterns), have)
            known = [blob.oid for blob in read if stored.is_on_a_ref(self._db, blob.oid)]
            if read and not known:
                found[read[0].oid, file, tree] = read[0]
            elif known and path in files.settled:
                stored.store_file(self._db, tree, file, file_stamp, known[0])
        return found

    def _read(self, root: Path, path: str, source: FileSource) -> list[Blob]:
        return locations.read_draft(root, path, self._repository.object_format, source.spec.largest)
