"""Drafts: documents that work trees hold and no ref does."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from patina_hooks.corpus import places
from patina_hooks.corpus.documents import Documents
from patina_hooks.corpus.observations import Place
from patina_hooks.corpus.stamps import digest
from patina_hooks.git.repository import Blob, Repository
from patina_hooks.store.log import Log, name_text


class Drafts:
    """The drafts of one log. Work trees are looked at before git is asked, and drafts updated last of all."""

    def __init__(
        self, repository: Repository, log: Log, documents: Documents, folder: str, *, quick: bool
    ) -> None:
        """folder: where session documents are archived; quick: see `patina_hooks.corpus.reconcile`."""
        self._repository = repository
        self._log = log
        self._db = log.connection
        self._documents = documents
        self._folder = folder
        self._quick = quick

    def look_at(self, roots: list[Path]) -> tuple[dict[Path, str], places.Listings]:
        """A stamp of each work tree, and listings begun where that is not what the last look left."""
        stamps = {root: places.stamp_of_drafts(root, self._folder, self._drafts_of(root)) for root in roots}
        moved = [root for root in roots if not self._is_still(root, stamps[root])]
        return stamps, places.Listings(self._folder, begin=moved)

    def update(self, stamps: Mapping[Path, str], listings: places.Listings) -> None:
        """Make the log's drafts those of these work trees, after the documents of refs are in line."""
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
                self._db.execute("DELETE FROM file WHERE work_tree = ?", (name.removeprefix("files "),))
        for key in sorted(have.keys() - want.keys()):
            self._documents.take_out(have[key])
        for key in sorted(want.keys() - have.keys()):
            if blob := want[key]:
                self._documents.extract(blob)
            self._documents.put_in(Place("session", *key))

    def _drafts_of(self, root: Path) -> list[str]:
        ask = "SELECT path FROM document WHERE work_tree = ? AND work_tree != ''"
        return [row[0] for row in self._db.execute(ask, (name_text(str(root)),))]

    def _is_still(self, root: Path, stamp: str) -> bool:
        """Whether a quick look finds a work tree, and the trees of documents, as the last look left them."""
        _, _, stamped = self._log.fact(f"files {name_text(str(root))}").partition(" ")
        return self._quick and stamp != "" and stamped == self._stamped(stamp)

    def _stamped(self, stamp: str) -> str:
        return digest(stamp + self._log.fact("trees")) if stamp else ""

    def _drafts_in(
        self, root: Path, stamp: str, files: places.Listing, have: list[tuple[str, str, str]]
    ) -> dict[tuple[str, str, str], Blob | None]:
        """(oid, path, work tree) -> blob of each document of one work tree that no ref holds.

        Where no file and no tree of documents has changed since the last time, nothing is opened.
        """
        tree = name_text(str(root))
        name, look = f"files {tree}", digest(files.stamps + self._log.fact("trees"))
        before, _, _ = self._log.fact(name).partition(" ")
        self._log.remember(name, f"{look} {self._stamped(stamp)}")
        if before == look:
            return dict.fromkeys(have)
        found: dict[tuple[str, str, str], Blob | None] = {}
        held = self._held(tree)
        for path, file_stamp in files.files.items():
            stored = name_text(path)
            if held.get(stored) == file_stamp:
                continue
            read = places.read_draft(root, path, self._repository.object_format)
            if not read and not os.path.lexists(root / path):
                # Moved meanwhile, as the document of a session that ends.
                return self._drafts_in(root, stamp, places.listing(root, self._folder), have)
            known = [blob.oid for blob in read if self._documents.has(blob.oid)]
            if read and not known:
                found[read[0].oid, stored, tree] = read[0]
            elif known and path in files.settled:
                self._db.execute(
                    "INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?)", (tree, stored, file_stamp, known[0])
                )
        return found

    def _held(self, tree: str) -> dict[str, str]:
        """Return path -> stamp of files that a ref still holds as they were read then."""
        return dict(
            self._db.execute(
                "SELECT f.path, f.stamp FROM file f WHERE f.work_tree = ? AND EXISTS"
                " (SELECT 1 FROM document d WHERE d.oid = f.oid AND d.work_tree = '')",
                (tree,),
            )
        )
