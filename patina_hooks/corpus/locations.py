"""Files of work trees that may be drafts, and objects that cannot be read as documents."""

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

    def __init__(self, patterns: Patterns, begin: Sequence[Path]) -> None:
        self._patterns = patterns
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
            self._found[root] = listing(root, self._patterns)


def stamp_drafts(root: Path, patterns: Patterns, drafts: Iterable[str]) -> str:
    """A stamp (see `stamps`) of where drafts may come to be in a work tree, and of those that are known."""
    return stamp_paths(paths_of_drafts(root, patterns, drafts))


def paths_of_drafts(root: Path, patterns: Patterns, drafts: Iterable[str]) -> list[Path]:
    """List the folders in which drafts may come to be in a work tree, and the known drafts."""
    folders = dict.fromkeys(folder for folder, _ in sorted(patterns, reverse=True))
    return [*(root / folder for folder in folders), *(root / path for path in drafts)]


def listing(root: Path, patterns: Patterns) -> Listing:
    """Regular files that may be drafts; links are not followed."""
    files: dict[str, os.stat_result] = {}
    for folder, suffix in patterns:
        if _is_plain_folder(root, folder):
            with suppress(OSError):  # gone since, or not ours to read
                files |= _files_in(root / folder, folder, suffix)
    border = time.time_ns() - SETTLED_NS
    return Listing(
        {path: f"{s.st_size} {s.st_mtime_ns} {s.st_ino}" for path, s in files.items()},
        frozenset(path for path, s in files.items() if s.st_mtime_ns < border),
    )


def _files_in(place: Path, folder: str, suffix: str) -> list[tuple[str, os.stat_result]]:
    # From an open folder, where the system has it, a status costs two thirds: no path is walked again.
    handle = os.open(place, os.O_RDONLY) if os.scandir in os.supports_fd else None
    try:
        with os.scandir(place if handle is None else handle) as entries:
            named = [entry for entry in entries if entry.name.endswith(suffix)]
            files = [(f"{folder}/{entry.name}", entry.stat(follow_symlinks=False)) for entry in named]
    finally:
        if handle is not None:
            os.close(handle)
    return sorted(
        ((path, status) for path, status in files if stat.S_ISREG(status.st_mode)), key=itemgetter(0)
    )


def read_draft(root: Path, path: str, object_format: str, largest: int) -> list[Blob]:
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
            if (size := status.st_size) > largest:
                return [
                    Blob(_blob_id(iter(lambda: file.read(1 << 16), b""), size, object_format), size, None)
                ]
            data = file.read(largest)
    except OSError:
        return []
    forms = [data, data.replace(b"\r\n", b"\n")] if b"\r\n" in data else [data]
    return [Blob(_blob_id([form], len(form), object_format), len(form), form) for form in forms]


def reason_to_skip(blob: Blob, largest: int) -> str:
    """Why an object is no document that can be read, "" where it is one."""
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
