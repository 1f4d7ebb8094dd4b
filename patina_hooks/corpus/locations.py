"""Locations of documents: files of work trees that may be drafts, and objects that are not documents."""

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

from patina_hooks.corpus.folder_stamps import SETTLED_NS, stamp_paths
from patina_hooks.git.repository import Blob

Patterns = tuple[tuple[str, str], ...]
"""(folder, suffix) of files that may be drafts."""

ABSENT = "not in this clone"
_SNIFF = 8_000


@dataclass(frozen=True, slots=True)
class DraftListing:
    """Candidate drafts in one work tree.

    files: path from its root -> stamp of the file; settled: paths of files that were last changed so long ago
    that a further change would show.
    """

    files: Mapping[str, str]
    settled: frozenset[str]

    @property
    def stamps(self) -> str:
        """A text that changes with each file."""
        return "\n".join(f"{path} {stamp}" for path, stamp in self.files.items())


class DraftListings:
    """The listings of work trees, some of them read at once in a thread.

    A listing is mostly system time, about 3 us a file, and a reconcile waits for git meanwhile.
    """

    def __init__(self, patterns: Patterns, at_once: Sequence[Path]) -> None:
        """Start the thread. at_once: roots of the work trees that it lists."""
        self._patterns = patterns
        self._listings: dict[Path, DraftListing] = {}
        self._thread = Thread(target=self._list, args=[at_once], daemon=True)
        self._thread.start()

    def get(self, root: Path) -> DraftListing:
        """Return the listing of a work tree."""
        self._thread.join()
        if root not in self._listings:
            self._list([root])
        return self._listings[root]

    def _list(self, roots: Iterable[Path]) -> None:
        for root in roots:
            self._listings[root] = list_drafts(root, self._patterns)


def stamp_drafts(root: Path, patterns: Patterns, drafts: Iterable[str]) -> str:
    """Return the folder stamp of the places where drafts of a work tree are or may appear."""
    return stamp_paths(list_draft_paths(root, patterns, drafts))


def list_draft_paths(root: Path, patterns: Patterns, drafts: Iterable[str]) -> list[Path]:
    """List the folders of a work tree in which drafts may appear, and the known drafts."""
    folders = dict.fromkeys(folder for folder, _ in sorted(patterns, reverse=True))
    return [*(root / folder for folder in folders), *(root / path for path in drafts)]


def list_drafts(root: Path, patterns: Patterns) -> DraftListing:
    """List regular files that may be drafts; links are not followed."""
    files: dict[str, os.stat_result] = {}
    for folder, suffix in patterns:
        if _is_plain_folder(root, folder):
            with suppress(OSError):  # removed since, or not readable
                files |= _list_files(root / folder, folder, suffix)
    border = time.time_ns() - SETTLED_NS
    return DraftListing(
        {path: f"{s.st_size} {s.st_mtime_ns} {s.st_ino}" for path, s in files.items()},
        frozenset(path for path, s in files.items() if s.st_mtime_ns < border),
    )


def _list_files(directory: Path, folder: str, suffix: str) -> list[tuple[str, os.stat_result]]:
    """Return (path, status) of regular files, by path. folder: the directory from the root."""
    # From an open folder, if the system has it, a status costs two thirds: no path is resolved again.
    handle = os.open(directory, os.O_RDONLY) if os.scandir in os.supports_fd else None
    try:
        with os.scandir(directory if handle is None else handle) as entries:
            matches = [entry for entry in entries if entry.name.endswith(suffix)]
            files = [(f"{folder}/{entry.name}", entry.stat(follow_symlinks=False)) for entry in matches]
    finally:
        if handle is not None:
            os.close(handle)
    return sorted(
        ((path, status) for path, status in files if stat.S_ISREG(status.st_mode)), key=itemgetter(0)
    )


def read_draft(root: Path, path: str, object_format: str, largest: int) -> list[Blob]:
    """Read a file of a work tree as the blobs that git may make of it.

    Args:
        root: of the work tree.
        path: from the root.
        object_format: of the repository, "sha1" or "sha256".
        largest: bytes; a larger file is a blob without data.

    Returns:
        The file as it is, and with LF line ends if it has CRLF; nothing if it is not a regular file.
    """
    try:
        handle = os.open(
            root / path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        )
        with os.fdopen(handle, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                return []
            if (size := status.st_size) > largest:
                return [
                    Blob(_blob_id(iter(lambda: file.read(1 << 16), b""), size, object_format), size, None)
                ]
            data = file.read(largest)
    except OSError:
        return []
    forms = [data, data.replace(b"\r\n", b"\n")] if b"\r\n" in data else [data]
    return [Blob(_blob_id([form], len(form), object_format), len(form), form) for form in forms]


def find_skip_reason(blob: Blob, largest: int) -> str:
    """Return the reason why an object cannot be read as a document, else ""."""
    if blob.missing:
        return ABSENT
    if blob.data is None:
        return f"larger than {largest / (1 << 20):g} MiB ({blob.size:,} bytes)"
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
    """Whether each step from the root is a folder and not a link, which could lead out of the repository."""
    path = root
    for part in folder.split("/"):
        path = path / part
        try:
            if not stat.S_ISDIR(path.lstat().st_mode):
                return False
        except OSError:
            return False
    return True
