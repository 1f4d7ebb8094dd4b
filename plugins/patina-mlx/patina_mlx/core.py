"""`mlx.core`, on Linux with the system's OpenBLAS where there is one.

The wheel for Linux brings the reference BLAS, whose matrix products run at 3 GFLOPS where OpenBLAS reaches a
hundred. What is loaded first, for all to see, is what mlx finds. Only modules that are themselves opened on
first use import this one.
"""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress
from typing import Final

_OPENBLAS: Final = "libopenblas.so.0"


def _load_openblas() -> None:
    """Without it everything works, slowly. One thread a product: texts run side by side, and none waits."""
    if sys.platform == "linux" and "mlx.core" not in sys.modules:
        with suppress(OSError, AttributeError):
            ctypes.CDLL(_OPENBLAS, mode=ctypes.RTLD_GLOBAL).openblas_set_num_threads(1)


_load_openblas()

import mlx.core as mx  # noqa: E402  (after what it is to find)

__all__ = ["mx"]
