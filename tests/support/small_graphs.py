"""The index "usearch" with graphs from 100 rows on: what it does with 50,000, in a moment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from patina_usearch.index import GraphIndex

from patina_hooks.plugins.hookspecs import hookimpl
from patina_hooks.plugins.manager import Plugins
from patina_hooks.specs.plugins import IndexBackendSpec

NAME = "small-graphs"


def open_index(folder: Path, dimensions: int, fingerprint: str) -> GraphIndex:
    return GraphIndex(folder, dimensions, fingerprint, least=100, segment_rows=100)


class SmallGraphs:
    """It, as a backend that a recipe can name."""

    @hookimpl
    def patina_register_index_backends(self) -> Iterator[IndexBackendSpec]:
        yield IndexBackendSpec(NAME, "support.small_graphs:open_index", approximate=True)


def providers() -> Plugins:
    plugins = Plugins.load()
    plugins.register(SmallGraphs(), NAME)
    return plugins
