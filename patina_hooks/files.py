"""Files written so that a reader, or a kill, sees the old one or the new one and nothing between; and files
of a clone read without following a link out of it."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import tempfile
from collections.abc import Callable
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Final, cast

from patina_hooks.errors import StateError

NO_LINK: Final[int] = getattr(os, "O_NOFOLLOW", 0)
"""For os.open: fail where the last step of the path is a link (not on Windows)."""


def plain_file(root: Path, path: str) -> Path | None:
    """The regular file at `path` below `root`, None where there is none or any step to it is a link."""
    *folders, name = path.split("/")
    here = root
    try:
        for folder in folders:
            here = here / folder
            if not stat.S_ISDIR(here.lstat().st_mode):
                return None
        here = here / name
        return here if stat.S_ISREG(here.lstat().st_mode) else None
    except OSError:
        return None


def make_private(folder: Path) -> None:
    """The state folder, made where it is absent, for its owner's eyes alone.

    Raises `StateError` where that cannot be, or where it or anything in it is a link.
    """
    refuse_links(folder)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_mode & 0o077:
            folder.chmod(0o700)
    except OSError as error:
        why = f"{folder} cannot be made private: {error.strerror}"
        raise StateError(why, hint="patina doctor") from error


def refuse_links(folder: Path) -> None:
    """Raises `StateError` for a link in the state folder, at any depth, or in its place.

    patina makes none, and an unpacked `.git` could have it write wherever it likes.
    """
    inside = (Path(at, name) for at, *names in os.walk(folder) for name in chain(*names))
    for path in chain([folder], inside):
        if path.is_symlink():
            raise StateError(f"{path} is a link, which is not followed", hint=f"rm {shlex.quote(str(path))}")


def remove(path: Path) -> None:
    """Take away what stands at `path`, if anything: a file, a link, a folder with all that is in it; or the
    file that stands in the place of its folder. Raises OSError."""
    path = path.parent if path.parent.is_file() else path
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder. What another process removes meanwhile counts for nothing."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            status = path.lstat()
            total += status.st_size if stat.S_ISREG(status.st_mode) else 0
    return total


def replace_file(path: Path, data: bytes | bytearray) -> os.stat_result:
    """Write to a temporary name next to `path`, fsync, replace. Gives the status of the new file.

    Raises OSError with nothing changed; the folder is made where it is absent.
    """

    def write(file: BinaryIO) -> str:
        file.write(data)
        return path.name

    return write_file(path.parent, write)


def write_file(folder: Path, write: Callable[[BinaryIO], str]) -> os.stat_result:
    """Write a file of a folder in pieces, under the name that `write` returns at its end.

    Returns:
        The status of the new file.

    Raises:
        OSError: nothing is changed. The folder is made where it is absent.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=".new.", dir=folder)
    try:
        with os.fdopen(handle, "w+b") as file:
            path = folder / write(cast("BinaryIO", file))
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path.stat()
