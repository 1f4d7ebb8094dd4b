"""Limit the threads of numpy's linear algebra."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_VARIABLE: Final = "OPENBLAS_NUM_THREADS"


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Give a numpy that is imported meanwhile one thread, unless the user set a number.

    OpenBLAS starts its threads when it is loaded: 40 ms of CPU with two processors, more with more, and a
    product with one question's vector does not need them. Child processes that start later are not limited.
    """
    if _VARIABLE in os.environ:
        yield
        return
    os.environ[_VARIABLE] = "1"
    try:
        yield
    finally:
        del os.environ[_VARIABLE]
