"""usearch, loaded so that other compiled libraries may be loaded after it.

Its Linux wheels carry a C++ standard library of their own whose symbols are unique in a process: where they
come first, a library that is loaded later (ONNX Runtime 1.32, seen with usearch 2.26.6) takes half of them
from there, half from the system's, and crashes. So the system's comes first.
"""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

if sys.platform == "linux":
    with suppress(OSError):  # none is there: then nobody takes anything from it
        ctypes.CDLL("libstdc++.so.6", mode=ctypes.RTLD_GLOBAL)

from usearch.index import Index

__all__ = ["Index"]
