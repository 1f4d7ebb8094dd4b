"""Paths as the log writes them: their Unicode forms, and recorded ones like a path that is unknown."""

from __future__ import annotations

import difflib
import unicodedata
from typing import TYPE_CHECKING, Final

from patina_hooks.store.search.paths import has_path, is_touched, paths_in, paths_named, paths_of_length

if TYPE_CHECKING:
    import sqlite3

_COMPARED: Final = 5_000
"""Recorded paths of about the same length that are compared with an unknown one."""
_LONGEST: Final = 300
"""Characters of a path beyond which it is compared with none."""
_LENGTHS: Final = 6
_NAMESAKES: Final = 200
"""Recorded paths in a folder or of one name that are compared at most."""


def recorded_path(connection: sqlite3.Connection, path: str) -> str:
    """Return the Unicode form of a file's or folder's path that some commit touched, else the path as given.

    A shell on macOS completes names with decomposed letters, and git stores them composed.
    """
    if path.isascii():
        return path
    for form in (path, unicodedata.normalize("NFC", path), unicodedata.normalize("NFD", path)):
        if has_path(connection, form):
            return form
    return path


def is_recorded(connection: sqlite3.Connection, path: str) -> bool:
    """Tell whether a commit touched a file, or anything in a folder."""
    path = path.rstrip("/")
    return not path or is_touched(connection, path)


def near_paths(connection: sqlite3.Connection, path: str, limit: int = 3) -> list[str]:
    """Return recorded files like an unknown path, most similar first.

    Files of a folder that has this path come first, then files of the same name, then similar paths.
    """
    path = path.rstrip("/")
    if not path or len(path) > _LONGEST:
        return []
    name = path.rpartition("/")[2]
    shortest, longest = len(path) - _LENGTHS, len(path) + _LENGTHS
    for paths, cutoff in (
        (paths_in(connection, path, _NAMESAKES), 0.0),
        (paths_named(connection, name, _NAMESAKES), 0.0),
        (paths_of_length(connection, shortest, longest, _COMPARED), 0.75),
    ):
        if near := difflib.get_close_matches(path, paths, limit, cutoff):
            return near
    return []
