"""Collections other than history in one sync: each has a log of its own, updated after that of history."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from patina_hooks.config.settings import Settings
from patina_hooks.corpus.collections import reconcile_collection
from patina_hooks.corpus.observations import Extractors, ObservationChanges
from patina_hooks.corpus.outcome import Progress, ReconcileResult
from patina_hooks.errors import LogDamaged
from patina_hooks.git.repository import Repository
from patina_hooks.plugins.manager import Plugins
from patina_hooks.specs.plugins import RecordedError
from patina_hooks.specs.sources import COLLECTIONS, HISTORY
from patina_hooks.store.collections import collection_folder, stored_collections
from patina_hooks.store.database.schema import compact, recreate_derived
from patina_hooks.store.embeddings import drop_malformed
from patina_hooks.store.log import Log, set_aside_log
from patina_hooks.store.search.indexed_texts import count_waiting, has_changed_texts
from patina_hooks.text.redaction import Redaction

if TYPE_CHECKING:
    from patina_hooks.config.recipe import Recipe
    from patina_hooks.models.encoding import Encoder
    from patina_hooks.search.index.embedded import Embedded
    from patina_hooks.search.index.spaces import VectorSpace


class Collections:
    """The collections other than history that a source names or an earlier sync stored.

    Their logs stay open until the end: to open and close one takes as long as to update it.
    """

    def __init__(
        self,
        repository: Repository,
        history: Log,
        extractors: Extractors,
        settings: Settings,
        progress: Progress,
        *,
        full: bool,
        quick: bool,
    ) -> None:
        """Find the collections.

        Args:
            repository: the repository.
            history: the log of history.
            extractors: those in force.
            settings: those in force.
            progress: called as (stage, done, total).
            full: derive everything again.
            quick: leave vectors as they are if no text was added or removed.
        """
        self.repository = repository
        self.plugins: Plugins = extractors.plugins
        self._history = history
        self._extractors = extractors
        self._settings = settings
        self._progress = progress
        self._full = full
        self._quick = quick
        self._logs: dict[str, Log] = {}
        named = {source.collection for source in self.plugins.sources()}
        stored = stored_collections(repository.state)
        self._names = [name for name in COLLECTIONS if name != HISTORY and name in (*named, *stored)]

    def __enter__(self) -> Collections:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        for log in self._logs.values():
            log.close()

    def reconcile(self, changed: ObservationChanges) -> list[RecordedError]:
        """Update the documents to the live refs of history; return the errors of plugins.

        changed: counts the added and removed observations, including those of history.
        """
        faults: list[RecordedError] = []
        for name in self._names:
            try:
                faults += self._reconcile(name, changed)
            except LogDamaged:
                if name in self._logs:
                    self._logs.pop(name).close()
                set_aside_log(self._folder(name))
                faults += self._reconcile(name, changed)
        return faults

    def _reconcile(self, name: str, changed: ObservationChanges) -> list[RecordedError]:
        extractors = replace(self._extractors, collection=name, kept_tags=(), failures=0)
        result = ReconcileResult(changed=changed)
        with self._explained(name) as log:
            if self._full:
                reset_derived(log)
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
        """Update the vectors and yield the counts of each collection.

        A projection is trained on history and used for history only: a collection has its model's own
        vectors.

        Raises:
            PluginError: as `VectorUpdate.run`.
        """
        from patina_hooks.search.index.spaces import requested_space
        from patina_hooks.search.index.vector_update import VectorUpdate

        state = self.repository.state
        for name in self._names:
            with self._explained(name) as log:
                if self._quick and self._has_vectors(log):
                    continue
                space = requested_space(self.plugins, recipe, state)
                update = VectorUpdate(log, state, self.plugins, space, open_model, progress)
                yield update.run(seconds=seconds, retry=self._full)

    def _has_vectors(self, log: Log) -> bool:
        """Whether all texts of a collection have vectors of the model that answers for history."""
        from patina_hooks.search.index.spaces import active_space

        space, of_history = active_space(log), active_space(self._history)
        if space is None or of_history is None or has_changed_texts(log.connection):
            return False
        is_same_index = bool(of_history.projection) or space.index == of_history.index
        return is_same_index and space.judged_by == of_history.judged_by

    def pending(self) -> int:
        """Return the number of texts without a vector."""
        return sum(count_waiting(self._log(name).connection) for name in self._names)

    def purge_redacted(self) -> None:
        """Remove texts that new rules of redaction took out."""
        for name in self._names:
            purge_redacted(self._log(name), self._extractors.redaction)

    def _folder(self, name: str) -> Path:
        return collection_folder(self.repository.state, name)

    def _log(self, name: str) -> Log:
        if name not in self._logs:
            self._logs[name] = Log(self._folder(name))
        return self._logs[name]

    @contextmanager
    def _explained(self, name: str) -> Iterator[Log]:
        """Yield the log of a collection; an error of SQLite within is raised as a `StateError`."""
        log = self._log(name)
        try:
            yield log
        except Exception as error:
            log.explain(error)
            raise


def reset_derived(log: Log) -> None:
    """Delete derived data, so that it is derived again."""
    log.check()
    drop_malformed(log.path.parent)
    with log.writing():
        facts = {name: log.fact(name) for name in ("space", "redaction")}
        recreate_derived(log.connection)
        for name, value in facts.items():
            log.remember(name, value)  # the space answers until that of the recipe is complete


def purge_redacted(log: Log, redaction: Redaction) -> None:
    """Remove texts that new rules of redaction took out from free pages and journals."""
    if log.fact("redaction") == redaction.signature:
        return
    if not log.is_new:
        compact(log.connection)
    with log.writing():
        log.remember("redaction", redaction.signature)
