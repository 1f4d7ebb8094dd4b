"""Vectors, and the indexes that hold them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]
    """Rows of float32 numbers: [n, d], or [d] for one vector."""
    Keys = NDArray[np.void]
    """Keys of vectors, 16 bytes each: [n]."""
    Rows = NDArray[np.intp]
    """Numbers of rows: [n]."""


@dataclass(frozen=True, slots=True)
class IndexStats:
    """Counts of an index.

    rows: vectors that a search may return; files, bytes: on disk; generation: rises with each write.
    """

    rows: int
    files: int
    bytes: int
    generation: int


class VectorIndex(Protocol):
    """Unit (or zero) vectors by 16-byte key, searched by inner product.

    Writes are atomic: all of a call, or none. `patina_hooks.testing.index_contract` checks this interface.

    An index may also have a method `tend() -> bool`: do a part of the work that writes put off, and return
    whether more remains. A sync calls it repeatedly, after all vectors are written.
    """

    def upsert(self, keys: Sequence[bytes], vectors: Vectors) -> None:
        """Add or replace; keys n x 16 bytes, vectors [n, d] float32; the last one of a key counts."""
        ...

    def remove(self, keys: Sequence[bytes]) -> None:
        """Remove keys; unknown keys are ignored."""
        ...

    def search(
        self, query: Vectors, limit: int, allowed: frozenset[bytes] | None = None
    ) -> list[tuple[bytes, float]]:
        """Return the `limit` best (key, inner product) for query [d], ties by key, of `allowed` if given."""
        ...

    def rebuild(self, keys: Sequence[bytes], vectors: Vectors) -> None:
        """Replace everything."""
        ...

    def keys(self) -> frozenset[bytes]:
        """Return every key that a search may return."""
        ...

    def stats(self) -> IndexStats:
        """Return counts.

        Raises:
            IndexDamaged: a file is absent, or not as it was written.
        """
        ...

    def verify(self) -> None:
        """Read every byte.

        Raises:
            IndexDamaged: a byte is not what was written.
        """
        ...


def __getattr__(name: str) -> object:
    """Open a type of arrays at run time: numpy is imported only then."""
    scalar = {"Vectors": "float32", "Keys": "void", "Rows": "intp"}.get(name)
    if scalar is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import numpy as np
    from numpy.typing import NDArray

    return NDArray[getattr(np, scalar)]  # type: ignore[misc]
