"""Session documents and where they lie: in the trees of tips, and as drafts in work trees."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import new as new_hash
from operator import itemgetter
from pathlib import Path
from threading import Thread

from patina_hooks.corpus.observations import Place
from patina_hooks.corpus.stamps import SETTLED_NS, stamp
from patina_hooks.git.repository import DOCUMENT_CAP, Blob, Repository, TreeEntry
from patina_hooks.store.log import name_text
from patina_hooks.text.session_ids import is_session_id

ACTIVE_FOLDER = ".patina/local/active"
ABSENT = "not in this clone"
_SUFFIX = ".md"
_REGULAR = ("100644", "100755")
_SNIFF = 8_000


def places_in(repository: Repository, trees: set[str], folder: str) -> set[Place]:
    """The session documents in these trees: regular Markdown files, never links, not recursive."""
    return {
        place
        for entries in repository.trees(sorted(trees)).values()
        for entry in entries
        if (place := place_of(entry, folder))
    }


def place_of(entry: TreeEntry, folder: str) -> Place | None:
    """Return the place of a session document, None where a tree's entry is none."""
    if entry.mode not in _REGULAR or not entry.name.endswith(_SUFFIX):
        return None
    return Place("session", entry.oid, name_text(f"{folder}/{entry.name}"), "", session_of(entry.name))


def session_of(name: str) -> str | None:
    """The session whose archived document has this file name."""
    stem = name.removesuffix(_SUFFIX)
    return stem if is_session_id(stem) else None


@dataclass(frozen=True, slots=True)
class Listing:
    """Candidate drafts in one work tree.

    files: path from its root -> what changes when the file does; settled: the paths of files that were last
    changed so long ago that a further change would show.
    """

    files: Mapping[str, str]
    settled: frozenset[str]

    @property
    def stamps(self) -> str:
        """What changes when any file does."""
        return "\n".join(f"{path} {stamp}" for path, stamp in self.files.items())


class Listings:
    """The listings of work trees, some of them begun at once in a thread: it is mostly the system's time,
    about 3 us a file, and a reconcile waits for git meanwhile."""

    def __init__(self, folder: str, begin: Sequence[Path]) -> None:
        self._folder = folder
        self._found: dict[Path, Listing] = {}
        self._thread = Thread(target=self._list, args=[begin], daemon=True)
        self._thread.start()

    def of(self, root: Path) -> Listing:
        self._thread.join()
        if root not in self._found:
            self._list([root])
        return self._found[root]

    def _list(self, roots: Iterable[Path]) -> None:
        for root in roots:
            self._found[root] = listing(root, self._folder)


def stamp_of_drafts(root: Path, folder: str, drafts: Iterable[str]) -> str:
    """A stamp (see `stamps`) of where drafts may come to be in a work tree, and of those that are known."""
    return stamp([root / folder, root / ACTIVE_FOLDER, *(root / path for path in drafts)])


def listing(root: Path, folder: str) -> Listing:
    """Regular Markdown files in the folder of documents and of active ones; links are not followed."""
    files: list[tuple[str, os.stat_result]] = []
    for place in (ACTIVE_FOLDER, folder):
        if _is_plain_folder(root, place):
            with suppress(OSError):  # gone since, or not ours to read
                files += _markdown_in(root / place, place)
    border = time.time_ns() - SETTLED_NS
    return Listing(
        {path: f"{s.st_size} {s.st_mtime_ns} {s.st_ino}" for path, s in files},
        frozenset(path for path, s in files if s.st_mtime_ns < border),
    )


def _markdown_in(place: Path, folder: str) -> list[tuple[str, os.stat_result]]:
    # From an open folder, where the system has it, a status costs two thirds: no path is walked again.
    handle = os.open(place, os.O_RDONLY) if os.scandir in os.supports_fd else None
    try:
        with os.scandir(place if handle is None else handle) as entries:
            named = [entry for entry in entries if entry.name.endswith(_SUFFIX)]
            files = [(f"{folder}/{entry.name}", entry.stat(follow_symlinks=False)) for entry in named]
    finally:
        if handle is not None:
            os.close(handle)
    return sorted(
        ((path, status) for path, status in files if stat.S_ISREG(status.st_mode)), key=itemgetter(0)
    )


def read_draft(root: Path, path: str, object_format: str) -> list[Blob]:
    """What a file would be as a blob: as it stands, and with LF line ends where a checkout made them CRLF;
    without data where it is too large. Empty where it is no plain file."""
    try:
        handle = os.open(
            root / path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        )
        with os.fdopen(handle, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                return []
            if (size := status.st_size) > DOCUMENT_CAP:
                return [
                    Blob(_blob_id(iter(lambda: file.read(1 << 16), b""), size, object_format), size, None)
                ]
            data = file.read(DOCUMENT_CAP)
    except OSError:
        return []
    forms = [data, data.replace(b"\r\n", b"\n")] if b"\r\n" in data else [data]
    return [Blob(_blob_id([form], len(form), object_format), len(form), form) for form in forms]


def reason_to_skip(blob: Blob) -> str:
    """Why an object is no document that can be read, "" where it is one."""
    if blob.missing:
        return ABSENT
    if blob.data is None:
        return f"larger than {DOCUMENT_CAP >> 20} MiB ({blob.size:,} bytes)"
    if b"\0" in blob.data[:_SNIFF]:
        return "binary"
    if blob.data.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer"
    return ""


def _blob_id(pieces: Iterable[bytes], size: int, object_format: str) -> str:
    name = new_hash("sha256" if object_format == "sha256" else "sha1", usedforsecurity=False)
    name.update(b"blob %d\0" % size)
    for piece in pieces:
        name.update(piece)
    return name.hexdigest()


def _is_plain_folder(root: Path, folder: str) -> bool:
    """Whether every step from the root is a folder itself: a link could lead out of the repository."""
    here = root
    for part in folder.split("/"):
        here = here / part
        try:
            if not stat.S_ISDIR(here.lstat().st_mode):
                return False
        except OSError:
            return False
    return True
