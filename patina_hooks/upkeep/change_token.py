"""The change token: shows that nothing changed since a sync that had nothing to do.

The token names the files and folders on which such a sync depends, with a digest of their stamps. The module
`patina_hooks.corpus.folder_stamps` describes which changes a stamp does not show, and why it is valid for an
hour. A command whose token is unchanged answers without a sync: it saves the import of all modules that read
git, and four git processes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from patina_hooks.config.settings import user_file
from patina_hooks.config.shared_files import SHARED_FILES
from patina_hooks.corpus.folder_stamps import hash_text, stamp_paths
from patina_hooks.git import spool
from patina_hooks.git.repository import Repository
from patina_hooks.store.log import LOG_FILE
from patina_hooks.system.files import read_regular, remove_path, replace_file

_FILE = "unchanged"
_SIZE_CAP = 4 << 20
_MOST_PATHS = 5_000
"""With more (thousands of loose refs), looking at each costs what a sync costs."""


def is_unchanged(repository: Repository) -> bool:
    """Return whether nothing has changed since a sync that had nothing to do."""
    state = repository.state
    try:
        stored, *paths = os.fsdecode(read_regular(state / _FILE, _SIZE_CAP)).split("\0")
        if spool.pending_bytes(state) or not (state / LOG_FILE).is_file():
            return False
    except OSError:
        return False
    return stored == _token(repository, paths)


def record_token(repository: Repository, watched_paths: Iterable[Path]) -> None:
    """Store the token of a sync that just ended and had nothing to do.

    A change during the sync prevents the token: a file that was changed within two seconds has no stamp.

    Args:
        repository: the repository that was synced.
        watched_paths: files and folders in which documents may change, and modules of plugins.
    """
    root = repository.main_root()  # asked in another work tree, its recipe and settings are in force too
    own_paths = [*_git_paths(repository), *_state_paths(repository), *_settings_paths(root)]
    paths = list(map(str, dict.fromkeys([*own_paths, *_installed_paths(), *watched_paths])))
    token = _token(repository, paths) if len(paths) <= _MOST_PATHS else ""
    file = repository.state / _FILE
    with suppress(OSError):
        if token:
            replace_file(file, os.fsencode("\0".join([token, *paths])))
        else:
            remove_path(file)


def _token(repository: Repository, paths: list[str]) -> str:
    """Return the digest of stamps, settings and the environment, "" if a path has no stamp."""
    stamps = stamp_paths([*map(Path, paths), *_settings_paths(repository.root)])
    settings = sorted(f"{name}={value}" for name, value in os.environ.items() if name.startswith("PATINA_"))
    return hash_text("\0".join([stamps, sys.executable, *sys.path, *settings, *paths])) if stamps else ""


def _git_paths(repository: Repository) -> Iterator[Path]:
    """Yield the files and folders in which refs, HEADs and objects change."""
    common = repository.common
    for name in ("HEAD", "packed-refs", "shallow", "reftable/tables.list", "objects/pack", "worktrees"):
        yield common / name
    for folder, _, files in os.walk(common / "refs"):
        yield Path(folder)
        yield from (Path(folder, file) for file in files)
    for work_tree in _entries(common / "worktrees"):
        yield from (work_tree / name for name in ("HEAD", "gitdir", "reftable/tables.list"))


def _state_paths(repository: Repository) -> Iterator[Path]:
    """Yield the files of vector indexes, which a sync repairs."""
    for vectors in repository.state.glob("**/vectors"):
        for folder in (vectors, *_entries(vectors)):
            yield from (folder, *(path for path in _entries(folder) if path.is_file()))


def _settings_paths(root: Path) -> Iterator[Path]:
    user = user_file()
    yield from (user.parent, user, user.with_name("models.toml"))
    yield from (root / path for path in (".patina", *SHARED_FILES))


def _installed_paths() -> Iterator[Path]:
    """Yield the folders of installed distributions: installing or removing one changes them."""
    for folder in map(Path, filter(None, sys.path)):
        if any(path.suffix in (".dist-info", ".egg-info") for path in _entries(folder)):
            yield folder


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []
