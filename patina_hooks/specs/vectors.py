"""Vectors, and the indexes that hold them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]
    Keys = NDArray[np.void]
    Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class IndexStats:
    """rows: vectors that answer; files and bytes: what they take on disk; generation: rises by write."""

    rows: int
    files: int
    bytes: int
    generation: int


class VectorIndex(Protocol):
    """Unit (or zero) vectors by 16-byte key, searched by inner product. Writes are atomic: all of a call, or
    none. `patina_hooks.testing.index_contract` checks what is said here.

    An index may have a method `tend() -> bool` too: do a part of the work that writes put off, and tell
    whether more is left. A sync calls it, in turns, when all vectors are written.
    """

    def upsert(self, keys: Sequence[bytes], vectors: Vectors) -> None:
        """Add or replace; keys n x 16 bytes, vectors [n, d] float32; the last one of a key counts."""
        ...

    def remove(self, keys: Sequence[bytes]) -> None:
        """Take out; unknown keys are ignored."""
        ...

    def search(
        self, query: Vectors, limit: int, allowed: frozenset[bytes] | None = None
    ) -> list[tuple[bytes, float]]:
        """The `limit` best (key, inner product) for query [d], ties by key; of `allowed` alone, if given."""
        ...

    def rebuild(self, keys: Sequence[bytes], vectors: Vectors) -> None:
        """Replace everything."""
        ...

    def keys(self) -> frozenset[bytes]:
        """Every key that answers."""
        ...

    def stats(self) -> IndexStats:
        """What there is; raises `IndexDamaged` where a file is not there, or not as it was written."""
        ...

    def verify(self) -> None:
        """Read every byte; raise `IndexDamaged` where it is not what was written."""
        ...


def __getattr__(name: str) -> object:
    """Open a type of arrays at run time: numpy is imported only then."""
    scalar = {"Vectors": "float32", "Keys": "void", "Rows": "intp"}.get(name)
    if scalar is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import numpy as np
    from numpy.typing import NDArray

    return NDArray[getattr(np, scalar)]  # type: ignore[misc]
