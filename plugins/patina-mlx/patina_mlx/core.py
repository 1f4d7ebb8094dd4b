"""`mlx.core`, on Linux with the system's OpenBLAS where there is one.

The wheel for Linux brings the reference BLAS, whose matrix products run at 3 GFLOPS where OpenBLAS reaches a
hundred. What is loaded first, for all to see, is what mlx finds. Only modules that are themselves opened on
first use import this one.
"""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress
from typing import Final

_OPENBLAS: Final = "libopenblas.so.0"
_MOST_THREADS: Final = 4


def threads() -> int:
    """As many as this process may use, up to four: short texts gain nothing from more."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, _MOST_THREADS)


def _load_openblas() -> None:
    """Without it everything works, slowly."""
    if sys.platform == "linux" and "mlx.core" not in sys.modules:
        with suppress(OSError, AttributeError):
            ctypes.CDLL(_OPENBLAS, mode=ctypes.RTLD_GLOBAL).openblas_set_num_threads(threads())


_load_openblas()

import mlx.core as mx  # noqa: E402  (after what it is to find)

__all__ = ["mx", "threads"]
