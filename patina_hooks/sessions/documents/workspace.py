"""The files of one work tree's sessions: where they lie; reading and writing them, never through links.

.patina/local/active/<id>.md      the documents of sessions under way; `.patina/local/` ignores itself
.patina/local/last-session.md     where the last one went
layer/sessions/<id>.md            archived documents; the folder is a setting
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from patina_hooks.config.configuration import load_repository_settings
from patina_hooks.config.settings import Settings
from patina_hooks.errors import SessionError
from patina_hooks.git.lock import SyncLock
from patina_hooks.git.repository import Repository
from patina_hooks.system.files import replace_file

LOCAL = ".patina/local"
ACTIVE = f"{LOCAL}/active"
POINTER = f"{LOCAL}/last-session.md"
LOCK = "patina-session.lock"

_SIZE_CAP = 64 << 20
_LOCK_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Workspace:
    """A work tree in which sessions are held, with the settings that apply there."""

    repository: Repository
    settings: Settings

    @classmethod
    def of(cls, repository: Repository) -> Workspace:
        """Raises `SettingsError` where settings are invalid."""
        return cls(repository, load_repository_settings(repository))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Alone among all session commands of the repository, whatever their work tree.

        The lock lies beside the refs, since ids must not collide between work trees.
        """
        lock = SyncLock(self.repository.common / LOCK)
        if not lock.acquire(wait=_LOCK_SECONDS):
            raise SessionError(
                "another patina session command has been at work for ten seconds",
                hint="wait for it to end, then try again",
            )
        try:
            yield
        finally:
            lock.release()

    def archive_path(self, session: str) -> str:
        """Where the document of an ended session lies, relative to the root."""
        return f"{PurePosixPath(self.settings.sessions_folder)}/{session}.md"

    def active_path(self, session: str) -> str:
        """Where the document of a session under way lies, relative to the root."""
        return f"{ACTIVE}/{session}.md"

    def stamp(self, path: str) -> str:
        """Equal to an earlier one where the file is as it was then; "" where there is none."""
        try:
            status = self._inside(path).lstat()
        except OSError:
            return ""
        return f"{status.st_mtime_ns} {status.st_size} {status.st_ino}"

    def written(self, path: str) -> int:
        """Return when a file was last written, in nanoseconds since 1970; 0 where there is none."""
        try:
            return self._inside(path).lstat().st_mtime_ns
        except OSError:
            return 0

    # --- files, by their path relative to the root ----------------------------------------------

    def read(self, path: str) -> str | None:
        """A file's text, None where there is none; bytes that are not UTF-8 survive a rewrite.

        Raises `SessionError` for a link, or what is no file, or is larger than any document.
        """
        place = self._inside(path)
        try:
            # O_NONBLOCK: opening a FIFO must not wait for its writer.
            handle = os.open(place, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SessionError(f"{path} cannot be read: {error.strerror}") from error
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _SIZE_CAP:
            os.close(handle)
            raise SessionError(
                f"{path} is no regular file, or larger than {_SIZE_CAP >> 20} MB",
                hint=f"move it away, then try again: mv {path} {path}.odd",
            )
        with os.fdopen(handle, "rb") as file:
            return file.read().decode("utf-8", "surrogateescape")

    def write(self, path: str, text: str) -> None:
        """Write a file whole, or leave it as it was and raise `SessionError`; its folder is made."""
        place = self._inside(path)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            replace_file(place, text.encode("utf-8", "surrogateescape"))
            # A temporary file is its owner's alone; a document is as open as the folder it lies in.
            place.chmod(place.parent.stat().st_mode & 0o666)
        except OSError as error:
            raise SessionError(f"{path} cannot be written: {error.strerror}") from error

    def remove(self, path: str) -> None:
        """Take a file away; nothing happens where there is none."""
        try:
            self._inside(path).unlink(missing_ok=True)
        except NotADirectoryError:
            return
        except OSError as error:
            raise SessionError(f"{path} cannot be removed: {error.strerror}") from error

    def sweep(self, path: str) -> None:
        """Take away what a killed `write` of that file left beside it."""
        folder, _, name = path.rpartition("/")
        for left in self.names(folder):
            if left.startswith(f".{name}."):
                self.remove(f"{folder}/{left}")

    def exists(self, path: str) -> bool:
        return os.path.lexists(self._inside(path))

    def names(self, folder: str) -> list[str]:
        """The names of the files in a folder, sorted, links left out; empty where there is none."""
        try:
            with os.scandir(self._inside(folder)) as entries:
                return sorted(entry.name for entry in entries if entry.is_file(follow_symlinks=False))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def prepare(self) -> None:
        """Make `.patina/local/`, which ignores itself whatever is checked out."""
        self.sweep(f"{LOCAL}/.gitignore")
        if "*" not in (self.read(f"{LOCAL}/.gitignore") or "").split():
            self.write(f"{LOCAL}/.gitignore", "*\n")

    def _inside(self, path: str) -> Path:
        """The place of a path below the root, none of whose existing parts is a link."""
        parts = PurePosixPath(path).parts
        outside = path.startswith("/") or ".." in parts or "\0" in path
        if not parts or outside or any(part.lower() == ".git" for part in parts):
            raise SessionError(f"{path!r} does not lie inside the work tree")
        place = self.repository.root
        for part in parts:
            place = place / part
            if place.is_symlink():
                link = place.relative_to(self.repository.root).as_posix()
                raise SessionError(
                    f"{link} is a symbolic link: patina does not write through links",
                    hint=f"replace the link with a folder of its own: rm {link} && mkdir {link}",
                )
        return place
