"""Delivery of events to the plugins' event hooks, while no lock is held."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from patina_hooks.git.repository import Repository
    from patina_hooks.plugins.manager import Plugins
    from patina_hooks.specs.plugins import RecordedError
    from patina_hooks.upkeep.events import EventQueue

Deliver = Callable[["EventQueue"], "tuple[RecordedError, ...]"]
"""Takes the events of one sync after its lock is released; returns the faults of hooks known by then."""


def deliver_events(repository: Repository, plugins: Plugins, queue: EventQueue) -> tuple[RecordedError, ...]:
    """Call the event hooks of every plugin and record their errors in the log.

    Raises:
        PluginError: a hook failed, in strict mode.
    """
    if queue.is_empty():
        return ()
    import logging

    from patina_hooks.plugins.calls import recorded_in
    from patina_hooks.plugins.fault_counts import FaultCounts
    from patina_hooks.specs.values import RepositoryPaths
    from patina_hooks.store.recorded_faults import add_mishaps

    logger = logging.getLogger(__name__)
    paths, counts = RepositoryPaths(repository.root, repository.common), FaultCounts()
    try:
        with recorded_in(repository.state):
            for event, arguments in queue.events(repository):
                for fault in plugins.notify(event, **arguments, repository=paths):
                    if counts.add(fault):
                        logger.info("%s: %s: %s", fault.plugin, fault.where, fault.error)
    finally:
        queue.close()
        faults = tuple(counts.faults())
        add_mishaps(repository.state, faults)
    return faults


class BackgroundDelivery:
    """Delivers events in a thread of its own, while the worker continues."""

    def __init__(self) -> None:
        self._tasks: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    @property
    def has_started(self) -> bool:
        """Whether `finish` has a delivery to wait for."""
        return self._thread is not None

    def put(self, task: Callable[[], object]) -> None:
        """Run a delivery after those before it."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="delivery of events", daemon=True)
            self._thread.start()
        self._tasks.put(task)

    def finish(self) -> None:
        """Wait until everything is delivered or abandoned."""
        if self._thread is not None:
            self._tasks.put(None)
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        import logging

        log = logging.getLogger("patina_hooks.upkeep.worker")
        while task := self._tasks.get():
            try:
                task()
            except Exception:
                log.exception("cannot deliver events")
