"""The folders of the user's settings, models and caches, also for a user without a home folder.

A container may run as a user without an entry in the password database and without HOME. Then each folder is
one that cannot exist, as with `HOME=/dev/null`: nothing can be read from it or written to it. `platformdirs`
raises there, or returns a folder below the current one, whose content a repository could control.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

SETTINGS_FILE: Final = "config.toml"
"""The user's settings, in `config_folder`."""
NO_FOLDER: Final = Path(os.devnull) / "patina"


def config_folder() -> Path:
    """Return the folder of the user's settings, whether or not it exists."""
    # The import takes 15 ms, which `patina --help` does not need.
    from platformdirs import user_config_path

    return _absolute(user_config_path)


def data_folder() -> Path:
    """Return the folder of the user's downloads, whether or not it exists."""
    from platformdirs import user_data_path

    return _absolute(user_data_path)


def cache_folder() -> Path:
    """Return the folder of data that can be rebuilt, whether or not it exists."""
    from platformdirs import user_cache_path

    return _absolute(user_cache_path)


def _absolute(locate: Callable[..., Path]) -> Path:
    try:
        folder = locate("patina", appauthor=False)
    except RuntimeError:
        return NO_FOLDER
    return folder if folder.is_absolute() else NO_FOLDER
