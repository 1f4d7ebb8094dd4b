"""A team: clones of one repository with one recipe, each with runtimes of its own, and how far they agree."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from patina_hooks.api import Patina
from patina_hooks.git.repository import Repository
from patina_hooks.models.encoding import normalise_rows
from patina_hooks.models.similarity import row_cosines
from patina_hooks.pairs.stored import TrainingPair, pair_kinds, training_pairs
from patina_hooks.plugins.manager import Plugins
from patina_hooks.search.index.spaces import VectorSpace, active_space
from patina_hooks.store.embeddings import EmbeddingCache
from patina_hooks.store.log import Log
from patina_hooks.upkeep.sync import synchronise

if TYPE_CHECKING:
    from patina_hooks.search.query import Mode
    from patina_hooks.specs.vectors import Vectors

    Answer = tuple[str | None, str | None, str]

TOP = 10


@dataclass(frozen=True, slots=True)
class Member:
    """One clone, synced. pairs: all of them, in the order of training."""

    repository: Repository
    plugins: Plugins
    space: VectorSpace
    events_hash: str
    pairs: tuple[TrainingPair, ...]

    @classmethod
    def join(cls, template: Path, root: Path, plugins: Plugins) -> Member:
        """Clone the repository that the template is, with its recipe, and sync it."""
        shutil.copytree(template, root, symlinks=True, ignore=shutil.ignore_patterns("patina"))
        repository = Repository.open(root)
        report = synchronise(repository, plugins=plugins)
        assert (report.faults, report.pending) == ((), 0)
        with closing(Log(repository.state, create=False)) as log:
            space = active_space(log)
            pairs = tuple(training_pairs(log.connection, set(pair_kinds(log.connection))))
        assert space is not None
        with Patina(repository, plugins) as patina:
            events = patina.status().events_hash
        return cls(repository, plugins, space, events, pairs)

    def vectors(self, keys: Sequence[bytes]) -> Vectors:
        """Unit vectors again: the cache's are rounded."""
        with closing(EmbeddingCache(self.repository.state, self.space.fingerprint)) as cache:
            return normalise_rows(cache.get(keys, self.space.dimensions), self.space.model)

    def texts(self) -> list[bytes]:
        with closing(Log(self.repository.state, create=False)) as log:
            rows = log.connection.execute("SELECT key FROM text WHERE live > 0 ORDER BY key")
            return [row[0] for row in rows]

    def answers(self, questions: Sequence[str], mode: Mode) -> list[set[Answer]]:
        """Session, commit and text of the first ten answers to each."""
        with Patina(self.repository, self.plugins) as patina:
            found = [patina.search(one, limit=TOP, mode=mode) for one in questions]
        return [{(hit.session, hit.commit, hit.text) for hit in hits} for hits in found]


def least_cosine(one: Member, other: Member) -> float:
    """Of the vectors that two members have of the same text."""
    keys = one.texts()
    assert keys
    assert keys == other.texts()
    return float(row_cosines(one.vectors(keys), other.vectors(keys)).min())


def overlap(one: Member, other: Member, questions: Sequence[str], mode: Mode) -> float:
    """The mean share of the first ten answers that both give."""
    given = zip(one.answers(questions, mode), other.answers(questions, mode), strict=True)
    return float(np.mean([len(ours & theirs) / max(len(ours), 1) for ours, theirs in given]))
