"""PyTorch, imported so that it makes no folder in the system's temporary folder.

PyTorch 2.13 makes a folder for its compiler's cache when it is imported, by default in a place that others
can prepare. Only modules that are themselves opened on first use import this one.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Final

from patina_hooks.authoring import StateError, cache_folder, make_private

_VARIABLE: Final = "TORCHINDUCTOR_CACHE_DIR"


def _keep_caches_private() -> None:
    """Name a folder of patina for that cache, unless the user names another."""
    if "torch" not in sys.modules and _VARIABLE not in os.environ:
        folder = cache_folder() / "torch"
        with suppress(OSError, StateError):  # nothing can be written there: PyTorch finds a place itself
            make_private(folder)
            os.environ[_VARIABLE] = str(folder)


_keep_caches_private()

import torch  # noqa: E402  (after what it reads)

__all__ = ["torch"]
