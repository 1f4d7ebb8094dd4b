"""Tracebacks of plugins' failures, for the worker's log; a recorded error has one line only."""

from __future__ import annotations

from patina_hooks.specs.plugins import RecordedError

_MOST_CAUSES = 100


class FailureLog:
    """Logs the traceback of each cause once in a process; the first hundred causes are logged."""

    def __init__(self) -> None:
        self._causes: set[tuple[str, str, str]] = set()

    def add(self, fault: RecordedError, error: BaseException) -> None:
        """Log the traceback, which only a worker writes to a file."""
        import logging
        import traceback

        cause = fault.plugin, fault.where, fault.error
        if cause in self._causes or len(self._causes) == _MOST_CAUSES:
            return
        self._causes.add(cause)
        logger = logging.getLogger(__name__)
        # As text that any handler can encode: the words of an exception may hold lone surrogates.
        lines = "".join(traceback.format_exception(error)).rstrip()
        words = lines.encode("utf-8", "backslashreplace").decode("utf-8")
        logger.info("plugin %s, %s failed:\n%s", fault.plugin, fault.where, words)
