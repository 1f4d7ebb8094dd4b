"""The folders of the user's settings, models and caches, also where the user has no home.

A container may run as a user without an entry in the password database and without HOME. Then each folder is
one that cannot exist, as with `HOME=/dev/null`: nothing is read from it, and nothing that is written is kept.
`platformdirs` raises there, or names a folder below the current one, which a repository could fill.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

NO_FOLDER: Final = Path(os.devnull) / "patina"


def config_folder() -> Path:
    """Return the folder of the user's settings, whether or not it exists."""
    # 15 ms that `patina --help` need not pay.
    from platformdirs import user_config_path

    return _absolute(user_config_path)


def data_folder() -> Path:
    """Return the folder of what the user fetched, whether or not it exists."""
    from platformdirs import user_data_path

    return _absolute(user_data_path)


def cache_folder() -> Path:
    """Return the folder of what can be made again, whether or not it exists."""
    from platformdirs import user_cache_path

    return _absolute(user_cache_path)


def _absolute(locate: Callable[..., Path]) -> Path:
    try:
        folder = locate("patina", appauthor=False)
    except RuntimeError:
        return NO_FOLDER
    return folder if folder.is_absolute() else NO_FOLDER
