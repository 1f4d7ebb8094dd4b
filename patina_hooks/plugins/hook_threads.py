"""Event hooks with a time limit: those of one plugin run in one daemon thread, never in the caller's.

Python cannot stop a thread. A hook that exceeds its limit is abandoned, its plugin gets no more events
from this process, and the process does not wait for it when it ends.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final

from patina_hooks.plugins.calls import end_forked_child

HOOK_SECONDS: Final = 10.0
"""How long one call of an event hook may take."""


TIMEOUT_ERROR: Final = (
    f"did not return within {HOOK_SECONDS:g} s; that process gave up on it and on later events of the plugin"
)


class HookTimeout(Exception):
    """An event hook did not return within its limit."""


class HookThread:
    """The thread that runs one plugin's event hooks, one after the other."""

    def __init__(self, plugin: str) -> None:
        self._plugin = plugin
        self._tasks: SimpleQueue[_Task] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self.is_abandoned = False

    def call(self, function: Callable[[], object], seconds: float) -> object:
        """Call the function in the thread and return its result.

        Raises:
            HookTimeout: it did not return within `seconds`.
            BaseException: what it raised.
        """
        if self._thread is None:
            name = f"event hooks of {self._plugin}"
            self._thread = threading.Thread(target=self._run, name=name, daemon=True)
            self._thread.start()
        task = _Task(function)
        self._tasks.put(task)
        self.is_abandoned = True  # also where Ctrl-C ends the wait
        if not task.done.wait(seconds):
            raise HookTimeout
        self.is_abandoned = False
        if task.error is not None:
            raise task.error
        return task.result

    def _run(self) -> None:
        while True:
            self._tasks.get().run()


class _Task:
    __slots__ = ("done", "error", "function", "result")

    def __init__(self, function: Callable[[], object]) -> None:
        self.function = function
        self.done = threading.Event()
        self.result: object = None
        self.error: BaseException | None = None

    def run(self) -> None:
        process = os.getpid()
        try:
            self.result = self.function()
        except BaseException as error:
            self.error = error
        end_forked_child(process)
        self.done.set()
