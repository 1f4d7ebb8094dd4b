"""Write files atomically, and read files of a clone without following links out of it.

A reader, or a kill, sees the old file or the new one, never a part.
"""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final, cast

from patina_hooks.errors import StateError

NO_LINK: Final[int] = getattr(os, "O_NOFOLLOW", 0)
"""For os.open: fail if the last step of the path is a link (not on Windows)."""
_NO_WAIT: Final[int] = getattr(os, "O_NONBLOCK", 0)
_FILES = frozenset({
    "hook.sh", "spool", "spool.offset", "lock", "worker.lock", "patina.log", "patina.log.1", "patina.log.2",
    "log.db", "log.db.damaged",
    "configuration.json", "probes.json", "oxidize.lock",
})  # fmt: skip
_PROJECTIONS = "projections"
_STATE_CAP = 64 << 20
_KINDS = {
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def plain_file(root: Path, path: str) -> Path | None:
    """Return the regular file at `path` below `root`, None if absent or behind a link."""
    *folders, name = path.split("/")
    location = root
    try:
        for folder in folders:
            location = location / folder
            if not stat.S_ISDIR(location.lstat().st_mode):
                return None
        location = location / name
        return location if stat.S_ISREG(location.lstat().st_mode) else None
    except OSError:
        return None


def read_regular(path: Path, limit: int = -1) -> bytes:
    """Read at most `limit` bytes of a regular file.

    Never wait for a named pipe.

    Raises OSError for anything else, links included.
    """
    handle = os.open(path, os.O_RDONLY | NO_LINK | _NO_WAIT | getattr(os, "O_BINARY", 0))
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        return file.read(limit)


def read_state(path: Path) -> bytes:
    """Read a small file of the state folder, or the beginning of one that is too large.

    Raises OSError as `read_regular`.
    """
    return read_regular(path, _STATE_CAP)


def make_private(folder: Path) -> None:
    """Create the state folder if it is absent, readable only by its owner.

    Raises `StateError` if that fails, or if the folder or an entry in it is irregular.
    """
    refuse_irregular(folder)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_mode & 0o077:
            folder.chmod(0o700)
    except OSError as error:
        message = f"cannot make {folder} private: {error.strerror}"
        raise StateError(message, hint=f"ls -ld {shlex.quote(str(folder))}") from error


def refuse_irregular(folder: Path) -> None:
    """Refuse a state folder that contains an entry patina cannot have created.

    Opening a named pipe waits for its writer, and a link may lead out of the repository.

    Raises:
        StateError: with the command that removes the first such entry.
    """
    for path, problem in irregular_entries(folder):
        raise StateError(f"{path} {problem}", hint=removal_command(path))


def irregular_entries(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield entries of a state folder that patina cannot have created, each with the problem.

    Links, named pipes, sockets and devices at any depth; folders in place of files.
    """
    try:
        mode = folder.lstat().st_mode
    except OSError:
        return
    if not stat.S_ISDIR(mode):
        yield folder, _problem(mode)
        return
    yield from _irregular_below(folder, _is_state_folder)


def removal_command(path: Path) -> str:
    """Return the shell command that removes an irregular entry."""
    is_folder = path.is_dir() and not path.is_symlink()
    return f"rm {'-r ' if is_folder else ''}{shlex.quote(str(path))}"


def _is_state_folder(path: Path) -> bool:
    """Whether a folder is allowed.

    A sync removes one in place of vectors or embeddings.
    """
    if path.parent.name == _PROJECTIONS:
        return path.name in {"reports", "checkpoints"}
    return path.parent.parent.name != _PROJECTIONS and path.name not in _FILES


def _irregular_below(folder: Path, may_be_folder: Callable[[Path], bool]) -> Iterator[tuple[Path, str]]:
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                path = Path(entry.path)
                if may_be_folder(path):
                    yield from _irregular_below(path, may_be_folder)
                else:
                    yield path, _problem(stat.S_IFDIR)
            elif not entry.is_file(follow_symlinks=False):
                with suppress(OSError):  # removed after it was listed
                    yield Path(entry.path), _problem(entry.stat(follow_symlinks=False).st_mode)


def _problem(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "is a link, which is not followed"
    kind = _KINDS.get(stat.S_IFMT(mode), "a special file")
    return f"is {kind}, not a {'folder' if stat.S_ISREG(mode) else 'file'}"


def remove_path(path: Path) -> None:
    """Remove the file, link or folder tree at `path`, if there is one.

    Raises OSError.

    If a file is in place of its parent folder, that file is removed.
    """
    path = path.parent if path.parent.is_file() else path
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def folder_size(folder: Path) -> int:
    """Sum the bytes of all files below a folder, except those that another process removes."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            status = path.lstat()
            total += status.st_size if stat.S_ISREG(status.st_mode) else 0
    return total


def replace_file(path: Path, data: bytes | bytearray) -> os.stat_result:
    """Replace a file by a temporary one next to it, with fsync.

    Return the new file's status.

    The folder is created if it is absent. Raises OSError, with nothing changed.
    """

    def write_data(file: BinaryIO) -> str:
        file.write(data)
        return path.name

    return write_file(path.parent, write_data, prefix=f".{path.name}.")


def write_file(folder: Path, writer: Callable[[BinaryIO], str], *, prefix: str = ".new.") -> os.stat_result:
    """Write a file of a folder in parts, with the name that `writer` returns.

    The folder is created if it is absent.

    Args:
        folder: of the file.
        writer: writes the content, and returns the name.
        prefix: of the temporary name, which a kill leaves behind.

    Returns:
        The status of the new file.

    Raises:
        OSError: nothing is changed.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=prefix, dir=folder)
    try:
        with os.fdopen(handle, "w+b") as file:
            path = folder / writer(cast("BinaryIO", file))
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path.stat()
