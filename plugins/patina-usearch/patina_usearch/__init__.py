"""The index backend "usearch": HNSW graphs where there are many vectors."""

from __future__ import annotations

from collections.abc import Iterator

from patina_hooks import IndexBackendSpec, hookimpl


@hookimpl
def patina_register_index_backends() -> Iterator[IndexBackendSpec]:
    yield IndexBackendSpec("usearch", factory="patina_usearch.index:GraphIndex", approximate=True)
