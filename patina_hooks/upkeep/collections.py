"""Collections beside history in one sync: each has a log of its own, updated after that of history."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from patina_hooks.config.recipe import Recipe
from patina_hooks.config.settings import Settings
from patina_hooks.corpus.collections import reconcile_collection
from patina_hooks.corpus.observations import Changed, Extractors
from patina_hooks.corpus.outcome import Progress, Reconciled
from patina_hooks.errors import LogDamaged
from patina_hooks.git.repository import Repository
from patina_hooks.plugins.manager import Plugins
from patina_hooks.search.index.spaces import VectorSpace, requested_space
from patina_hooks.search.index.vector_update import Embedded, VectorUpdate
from patina_hooks.specs.plugins import Fault
from patina_hooks.specs.sources import COLLECTIONS, HISTORY
from patina_hooks.store.collections import collection_folder, stored_collections
from patina_hooks.store.database.schema import compact, recreate_derived
from patina_hooks.store.embeddings import drop_malformed
from patina_hooks.store.log import Log, set_aside
from patina_hooks.store.search.indexed_texts import count_waiting
from patina_hooks.text.redaction import Redaction

if TYPE_CHECKING:
    from patina_hooks.models.encoding import Encoder


class Collections:
    """The collections beside history that some source names, or that were stored by an earlier sync."""

    def __init__(
        self,
        repository: Repository,
        history: Log,
        extractors: Extractors,
        settings: Settings,
        progress: Progress,
        full: bool,
    ) -> None:
        """full: derive everything again."""
        self.repository = repository
        self.plugins: Plugins = extractors.plugins
        self._history = history
        self._extractors = extractors
        self._settings = settings
        self._progress = progress
        self._full = full
        named = {source.collection for source in self.plugins.sources()}
        stored = stored_collections(repository.state)
        self._names = [name for name in COLLECTIONS if name != HISTORY and name in (*named, *stored)]

    def reconcile(self, changed: Changed) -> list[Fault]:
        """Bring the documents in line with the tips of history; return what plugins did wrong.

        changed: counts the observations that came and went, those of history included.
        """
        faults: list[Fault] = []
        for name in self._names:
            try:
                faults += self._reconcile(name, changed)
            except LogDamaged:
                set_aside(collection_folder(self.repository.state, name))
                faults += self._reconcile(name, changed)
        return faults

    def _reconcile(self, name: str, changed: Changed) -> list[Fault]:
        extractors = replace(self._extractors, collection=name, kept=(), failures=0)
        with self._log(name) as log:
            if self._full:
                begin_again(log)
            result = Reconciled(changed=changed)
            reconcile_collection(
                self.repository, self._history, log, extractors, self._settings, self._progress, result
            )
        return [*extractors.faults, *result.faults]

    def embed(
        self,
        recipe: Recipe,
        open_model: Callable[[VectorSpace], Encoder],
        progress: Progress,
        seconds: float | None,
    ) -> Iterator[Embedded]:
        """Bring the vectors in line, and yield what was done. Raises as `VectorUpdate.run` does.

        What is trained on history projects history only: a collection has its model's own vectors.
        """
        state = self.repository.state
        for name in self._names:
            space = requested_space(self.plugins, recipe, state)
            with self._log(name) as log:
                update = VectorUpdate(log, state, self.plugins, space, open_model, progress)
                yield update.run(seconds=seconds, retry=self._full)

    def pending(self) -> Iterator[int]:
        """Yield how many texts of each collection have no vector."""
        for name in self._names:
            with self._log(name) as log:
                yield count_waiting(log.connection)

    def leave_no_trace(self) -> None:
        """Remove what new rules of redaction took out."""
        for name in self._names:
            with self._log(name) as log:
                leave_no_trace(log, self._extractors.redaction)

    @contextmanager
    def _log(self, name: str) -> Iterator[Log]:
        with Log(collection_folder(self.repository.state, name)) as log:
            yield log


def begin_again(log: Log) -> None:
    """Forget what is derived, so that it is derived again."""
    log.check()
    drop_malformed(log.path.parent)
    with log.writing():
        kept = {name: log.fact(name) for name in ("space", "redaction")}
        recreate_derived(log.connection)
        for name, value in kept.items():
            log.remember(name, value)  # the space answers until the recipe's own is whole


def leave_no_trace(log: Log, redaction: Redaction) -> None:
    """Remove from free pages and journals what new rules of redaction took out."""
    if log.fact("redaction") == redaction.signature:
        return
    if not log.is_new:
        compact(log.connection)
    with log.writing():
        log.remember("redaction", redaction.signature)
