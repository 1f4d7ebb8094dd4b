"""The vectors of one sync: those of history, then those of the other collections.

Vectors need the imports of this module; a sync that leaves them as they are does not import it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from patina_hooks.errors import IndexUnavailable, PluginError, StateError
from patina_hooks.plugins.manager import Plugins
from patina_hooks.search.index.embedded import Embedded
from patina_hooks.search.index.probing import compared_space, record_engine_versions
from patina_hooks.search.index.spaces import VectorSpace, projected_space, requested_space
from patina_hooks.search.index.vector_update import VectorUpdate
from patina_hooks.search.remarks.refused import refused_texts
from patina_hooks.specs.plugins import RecordedError
from patina_hooks.store.facts import counts
from patina_hooks.store.recorded_faults import read_recorded_faults

if TYPE_CHECKING:
    from patina_hooks.config.recipe import Reading, Recipe
    from patina_hooks.corpus.outcome import Progress
    from patina_hooks.git.repository import Repository
    from patina_hooks.models.encoding import Encoder
    from patina_hooks.store.log import Log
    from patina_hooks.upkeep.collections import Collections
    from patina_hooks.upkeep.events import EventQueue

    OpenModel = Callable[[VectorSpace], Encoder]

logger = logging.getLogger("patina_hooks.upkeep.sync")


@dataclass(slots=True)
class VectorReport:
    """The result of an update of vectors.

    faults: errors that last until they are fixed; mishaps: errors of single calls of plugins. postponed:
    whether texts are pending, or an index has more to do, because the time was up.
    """

    embedded: Embedded = field(default_factory=Embedded)
    postponed: bool = False
    faults: list[RecordedError] = field(default_factory=list)
    mishaps: list[RecordedError] = field(default_factory=list)


class VectorStage:
    """Updates the vectors of one repository to its texts, as its recipe requests."""

    def __init__(
        self,
        repository: Repository,
        log: Log,
        plugins: Plugins,
        recipe: Recipe,
        events: EventQueue,
        open_model: OpenModel,
        progress: Progress,
        *,
        most: int | None,
        seconds: float | None,
        full: bool,
    ) -> None:
        """Store the arguments; most, seconds, full: see `patina_hooks.upkeep.sync.synchronise`."""
        self._repository = repository
        self._log = log
        self._plugins = plugins
        self._recipe = recipe
        self._events = events
        self._unrecorded = open_model
        self._open_model = _recording(repository.state, open_model)
        self._progress = progress
        self._most = most
        self._seconds = seconds
        self._full = full
        self._report = VectorReport()

    def run(self, collections: Collections, started: float) -> VectorReport:
        """Update history, then the other collections. started: start time of the sync, monotonic."""
        self._update_history()
        self._update_collections(collections, started)
        return self._report

    def _update_history(self) -> None:
        report, location = self._report, f"model {self._recipe.model}"
        try:
            update = self._history_update(location)
            report.embedded = update.run(most=self._most, seconds=self._seconds, retry=self._full)
            report.mishaps += _refusals(self._log, report.embedded.refused)
        except PluginError as error:
            self._record(error)
            report.embedded.pending = counts(self._log.connection)["pending"]
            return
        report.postponed = report.embedded.pending > 0 or report.embedded.unfinished
        if report.embedded.untried:  # it is not known whether the model is available by now
            report.faults += [fault for fault in read_recorded_faults(self._log) if fault.where == location]
        if report.embedded.rebuilt:
            logger.warning("the vector index was rebuilt: %s", report.embedded.rebuilt)
        self._announce(report.embedded)

    def _history_update(self, location: str) -> VectorUpdate:
        """Prepare the update of the space that the recipe requests; raise `PluginError`."""
        log, plugins, recipe, state = self._log, self._plugins, self._recipe, self._repository.state
        requested = requested_space(plugins, recipe, state)
        compared = compared_space(plugins, log, state, requested, self._unrecorded, always=self._full)
        if compared.message:
            self._report.mishaps.append(
                RecordedError("patina-hooks", location, compared.message, "patina sync")
            )
        space, project = compared.space, None
        try:
            space, project = projected_space(space, plugins, recipe, state)
        except (StateError, PluginError) as error:
            if plugins.is_strict and isinstance(error, PluginError):
                raise
            fault = RecordedError("patina-hooks", "projection", f"{error}; the raw model answers", error.hint)
            self._report.faults.append(fault)
            if isinstance(error, PluginError) and error.plugin:
                plugins.failures.add(fault, error)
        return VectorUpdate(log, state, plugins, space, self._open_model, self._progress, project)

    def _update_collections(self, collections: Collections, started: float) -> None:
        """Embed the texts of the other collections, once those of history have their vectors."""
        report = self._report
        pending = collections.pending()
        if report.postponed or report.embedded.pending:
            # Not postponed for this: where the model of history fails, a caller would try again without end.
            report.embedded.pending += pending
            return
        if self._most is not None and pending > self._most:
            report.embedded.pending += pending
            report.postponed = True
            return
        elapsed = time.perf_counter() - started
        remaining = None if self._seconds is None else max(0.0, self._seconds - elapsed)
        try:
            for embedded in collections.embed(self._recipe, self._open_model, self._progress, remaining):
                self._add(embedded)
        except PluginError as error:
            self._record(error)
            report.embedded.pending += collections.pending()

    def _add(self, embedded: Embedded) -> None:
        total = self._report.embedded
        total.encoded += embedded.encoded
        total.cut += embedded.cut
        total.pending += embedded.pending
        total.added += embedded.added
        total.removed += embedded.removed
        self._report.postponed = self._report.postponed or embedded.pending > 0 or embedded.unfinished
        self._announce(embedded)

    def _announce(self, embedded: Embedded) -> None:
        if embedded.added or embedded.removed:
            self._events.add_embeddings(self._recipe.model, embedded.added, embedded.removed)

    def _record(self, error: PluginError) -> None:
        """Record an error of a plugin; raise it in strict mode."""
        if self._plugins.is_strict:
            raise error
        recipe = self._recipe
        location = f"index {recipe.index}" if isinstance(error, IndexUnavailable) else f"model {recipe.model}"
        fault = RecordedError(error.plugin or "patina-hooks", location, str(error), error.hint)
        self._report.faults.append(fault)
        if error.plugin:
            self._plugins.failures.add(fault, error)


def open_once(plugins: Plugins) -> OpenModel:
    """Return a function that opens the model of a space, and reuses it until another model is requested."""

    @lru_cache(maxsize=1)
    def open_model(model: str, runtime: str, reading: Reading) -> Encoder:
        from patina_hooks.models.encoding import open_encoder

        return open_encoder(plugins, model, runtime, reading=reading)

    return lambda space: open_model(*space.opened_by)


def _refusals(log: Log, refused: Mapping[bytes, str]) -> Iterator[RecordedError]:
    for location, reason in refused_texts(log.connection, refused):
        yield RecordedError(
            "patina-hooks", location, f"this text has no vector: {reason}", "patina sync --full"
        )


def _recording(state: Path, open_model: OpenModel) -> OpenModel:
    """Record the engine versions of a model that is opened to embed."""

    def open_and_record(space: VectorSpace) -> Encoder:
        encoder = open_model(space)
        record_engine_versions(state, encoder)
        return encoder

    return open_and_record
