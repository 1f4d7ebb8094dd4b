"""Where collections are stored: each has a database, vectors and statistics of its own.

That history is ranked the same whatever else is indexed follows from this: no statement on one collection
reads a row of another. Embeddings are shared: they depend on the text and the model only.
"""

from __future__ import annotations

from pathlib import Path

from patina_hooks.specs.sources import COLLECTIONS, HISTORY
from patina_hooks.store.log import LOG_FILE


def collection_folder(state: Path, collection: str) -> Path:
    """Return the folder of a collection's database and vectors: the state folder itself for history."""
    return state if collection == HISTORY else state / collection


def stored_collections(state: Path) -> tuple[str, ...]:
    """Return the collections other than history that are stored here."""
    return tuple(
        name
        for name in COLLECTIONS
        if name != HISTORY and (collection_folder(state, name) / LOG_FILE).is_file()
    )
