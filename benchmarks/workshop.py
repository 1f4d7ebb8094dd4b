"""The repositories that are measured on, made once a run (or kept in a folder for the next)."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.histories import lengthen, make_history
from benchmarks.stream import git

if TYPE_CHECKING:
    from patina_hooks.api import Patina
    from patina_hooks.models.encoding import Encoder
    from patina_hooks.plugins.manager import Plugins
    from patina_hooks.search.index.spaces import VectorSpace
    from patina_hooks.specs.vectors import Vectors

LENGTHENED = 10
QUERIES = (
    "why did we choose sqlite",
    "how does session tagging work",
    "crash in the tree parser",
    "what did we decide about the embedding model",
    "fix failing tests",
    "make the index faster",
    "git hook and worker",
    "container permissions",
)


class Workshop:
    """Repositories with a memory, by need. What is measured works on copies.

    data: the folder of a real history, None to make one up.
    """

    def __init__(self, folder: Path, data: Path | None) -> None:
        self._folder = folder
        self._data = data

    @property
    def about(self) -> str:
        """Which history this is."""
        return "the real history, replayed" if self._data else "a history that is made up"

    @cached_property
    def bare(self) -> Path:
        """The history without a memory."""
        root = self._folder / "bare"
        if not root.exists():
            make_history(root, self._data)
        return root

    @cached_property
    def history(self) -> Path:
        """The history with its memory."""
        return self._remembered("history", 1)

    @cached_property
    def shorter(self) -> Path:
        """The history as it was when it had about 10,000 observations."""
        root = self._folder / "shorter"
        if not root.exists():
            made = self.copy(self.history, "shorter")
            go_back(made, 10_000)
            made.rename(root)
        settle(root)
        return root

    @cached_property
    def longer(self) -> Path:
        """One ten times as long, with its memory."""
        return self._remembered("longer", LENGTHENED)

    def growing(self, commits: int, make: Callable[[Path], None]) -> Path:
        """A synthetic history of so many commits, without a memory at first."""
        root = self._folder / f"growing-{commits}"
        if not root.exists():
            unfinished = self._folder / "unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            make(unfinished)
            unfinished.rename(root)
        return root

    def place(self, name: str) -> Path:
        """An empty folder; what was in it from before goes."""
        place = self._folder / "places" / name
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        return place

    def copy(self, root: Path, name: str) -> Path:
        """A copy of its own; one of that name from before goes."""
        place = self._folder / "copies" / name
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(root, place, symlinks=True)
        return place

    def settled_copy(self, root: Path, name: str) -> Path:
        """A copy whose index is rebuilt: a file that was copied is read against its checksum each time."""
        place = self.copy(root, name)
        shutil.rmtree(place / ".git" / "patina" / "vectors")
        settle(place)
        return place

    def _remembered(self, name: str, times: int) -> Path:
        root = self._folder / name
        if not root.exists():
            made = self.copy(self.bare, name)
            if times > 1:
                lengthen(made, times)
            remember(made)
            shutil.rmtree(root, ignore_errors=True)
            made.rename(root)
        settle(root)  # what was kept may be of an older version of patina
        return root


def opened(root: Path) -> Patina:
    """The memory of a repository, through our own API."""
    import patina_hooks

    return patina_hooks.open(root)


def settle(root: Path) -> None:
    """Bring a memory in line; nothing is encoded where nothing was said since."""
    with opened(root) as patina:
        patina.sync()


def go_back(root: Path, observations: int) -> None:
    """Take the last commits off, and the tags of what is left, until no more than so many are remembered."""
    with opened(root) as patina:
        while patina.status().observations > observations:
            git(root, "reset", "-q", "--hard", "HEAD~5")
            later = git(root, "tag", "--no-merged", "HEAD").split()
            git(root, "tag", "-d", *later)
            patina.sync()


def remember(root: Path) -> None:
    """Build the memory of a repository, but draw its vectors instead of encoding 130,000 texts.

    Costs of search and sync do not depend on what vectors say; everything else is the normal code.
    """
    from patina_hooks.search.index.probing import record_engine_versions
    from patina_hooks.store.embeddings import EmbeddingCache

    with opened(root) as patina:
        patina.sync(most=0)
        space = space_of(patina.plugins)
        record_engine_versions(patina.repository.state, encoder_of(patina.plugins))
        with closing(EmbeddingCache(patina.repository.state, space.fingerprint)) as cache:
            texts = {key for folder in _collections(patina) for key in _live_texts(folder)}
            keys = cache.missing(sorted(texts), space.dimensions)
            cache.put(keys, drawn(len(keys), space.dimensions), [0] * len(keys))
        report = patina.sync()
        assert report is not None
        assert report.encoded == 0


def space_of(plugins: Plugins) -> VectorSpace:
    """Where the default recipe's vectors live."""
    from patina_hooks.config.recipe import Recipe
    from patina_hooks.search.index.spaces import requested_space

    return requested_space(plugins, Recipe())


def encoder_of(plugins: Plugins) -> Encoder:
    """The default model, opened."""
    from patina_hooks.config.recipe import DEFAULT_MODEL
    from patina_hooks.models.encoding import open_encoder

    return open_encoder(plugins, DEFAULT_MODEL)


def live_texts(patina: Patina) -> list[bytes]:
    """The keys of history's texts that should have a vector, newest first, as a sync takes them."""
    return _live_texts(patina.repository.state)


def _collections(patina: Patina) -> list[Path]:
    """The folders of all collections."""
    from patina_hooks.store.collections import collection_folder, stored_collections

    state = patina.repository.state
    return [state, *(collection_folder(state, name) for name in stored_collections(state))]


def _live_texts(folder: Path) -> list[bytes]:
    from patina_hooks.store.log import Log

    ask = "SELECT key FROM text WHERE live > 0 ORDER BY dated DESC, key"
    with closing(Log(folder)) as log:
        return [row[0] for row in log.connection.execute(ask)]


def texts_of(root: Path, count: int) -> list[str]:
    """So many of all its texts, drawn: in the order of their hashes."""
    from patina_hooks.store.log import Log

    ask = "SELECT min(text) FROM observation WHERE live GROUP BY text_key ORDER BY text_key LIMIT ?"
    with opened(root) as patina, closing(Log(patina.repository.state)) as log:
        return [row[0] for row in log.connection.execute(ask, (count,))]


def drawn(count: int, dimensions: int) -> Vectors:
    """Unit vectors [count, dimensions], the same each time."""
    import numpy as np

    vectors = np.random.default_rng(1).standard_normal((count, dimensions), dtype=np.float32)
    unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit
