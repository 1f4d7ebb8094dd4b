"""Read and write the session files of one work tree, never through links.

.patina/local/active/<id>.md      the documents of active sessions; `.patina/local/` ignores itself
.patina/local/last-session.md     a pointer to the last archived document
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
    """A work tree with sessions, and its settings."""

    repository: Repository
    settings: Settings

    @classmethod
    def of(cls, repository: Repository) -> Workspace:
        """Open the work tree of a repository. Raises `SettingsError`."""
        return cls(repository, load_repository_settings(repository))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock out all other session commands of the repository, in any work tree.

        The lock is in the common dir, since ids must not collide between work trees.
        """
        lock = SyncLock(self.repository.common / LOCK)
        if not lock.acquire(wait=_LOCK_SECONDS):
            raise SessionError(
                "another patina session command has been running for ten seconds",
                hint="wait until it ends, then retry",
            )
        try:
            yield
        finally:
            lock.release()

    def archive_path(self, session: str) -> str:
        """Return the path of an ended session's document, relative to the root."""
        return f"{PurePosixPath(self.settings.sessions_folder)}/{session}.md"

    def active_path(self, session: str) -> str:
        """Return the path of an active session's document, relative to the root."""
        return f"{ACTIVE}/{session}.md"

    def change_token(self, path: str) -> str:
        """Return a token that changes whenever the file does.

        "" if there is none.
        """
        try:
            status = self._inside(path).lstat()
        except OSError:
            return ""
        return f"{status.st_mtime_ns} {status.st_size} {status.st_ino}"

    def written(self, path: str) -> int:
        """Return when a file was last written, in nanoseconds since 1970.

        0 if there is none.
        """
        try:
            return self._inside(path).lstat().st_mtime_ns
        except OSError:
            return 0

    # --- files, by their path relative to the root ----------------------------------------------

    def read(self, path: str) -> str | None:
        """Read a file's text, None if there is none.

        Bytes that are not UTF-8 survive a rewrite.

        Raises `SessionError` for a link, another kind of entry, or a file that is too large.
        """
        location = self._inside(path)
        try:
            # O_NONBLOCK: opening a FIFO must not wait for its writer.
            handle = os.open(
                location, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
            )
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SessionError(f"cannot read {path}: {error.strerror}") from error
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _SIZE_CAP:
            os.close(handle)
            raise SessionError(
                f"{path} is not a regular file, or is larger than {_SIZE_CAP >> 20} MB",
                hint=f"mv {path} {path}.odd, then retry",
            )
        with os.fdopen(handle, "rb") as file:
            return file.read().decode("utf-8", "surrogateescape")

    def write(self, path: str, text: str) -> None:
        """Write a whole file and create its folder, or raise `SessionError` and change nothing."""
        location = self._inside(path)
        try:
            location.parent.mkdir(parents=True, exist_ok=True)
            replace_file(location, text.encode("utf-8", "surrogateescape"))
            # A temporary file is private; a document has the permissions of its folder.
            location.chmod(location.parent.stat().st_mode & 0o666)
        except OSError as error:
            raise SessionError(f"cannot write {path}: {error.strerror}") from error

    def remove(self, path: str) -> None:
        """Remove a file, if it exists."""
        try:
            self._inside(path).unlink(missing_ok=True)
        except NotADirectoryError:
            return
        except OSError as error:
            raise SessionError(f"cannot remove {path}: {error.strerror}") from error

    def sweep(self, path: str) -> None:
        """Remove temporary files of a killed `write` of that file."""
        folder, _, name = path.rpartition("/")
        for temporary in self.names(folder):
            if temporary.startswith(f".{name}."):
                self.remove(f"{folder}/{temporary}")

    def exists(self, path: str) -> bool:
        return os.path.lexists(self._inside(path))

    def names(self, folder: str) -> list[str]:
        """List the names of the files in a folder, sorted, without links.

        Empty if there is none.
        """
        try:
            with os.scandir(self._inside(folder)) as entries:
                return sorted(entry.name for entry in entries if entry.is_file(follow_symlinks=False))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def prepare(self) -> None:
        """Create `.patina/local/`, which ignores itself whatever is checked out."""
        self.sweep(f"{LOCAL}/.gitignore")
        if "*" not in (self.read(f"{LOCAL}/.gitignore") or "").split():
            self.write(f"{LOCAL}/.gitignore", "*\n")

    def _inside(self, path: str) -> Path:
        """Return the location of a path below the root.

        Refuse links in it.
        """
        parts = PurePosixPath(path).parts
        outside = path.startswith("/") or ".." in parts or "\0" in path
        if not parts or outside or any(part.lower() == ".git" for part in parts):
            raise SessionError(f"{path!r} is not inside the work tree")
        location = self.repository.root
        for part in parts:
            location = location / part
            if location.is_symlink():
                link = location.relative_to(self.repository.root).as_posix()
                raise SessionError(
                    f"{link} is a symbolic link: patina does not write through links",
                    hint=f"replace the link with a folder: rm {link} && mkdir {link}",
                )
        return location
