"""Save the state of the process before a plugin's call, and restore it afterwards."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from types import ModuleType
from typing import Any, Final

_OURS: Final = ("GIT_", "PATINA_", "XDG_", "LC_")
_OURS_BY_NAME: Final = frozenset({"CI", "HOME", "LANG", "NO_COLOR", "PATH", "TMPDIR"})
_SIGNALS: Final = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGPIPE", "SIGALRM")
    if hasattr(signal, name)
)
_LOGGER: Final = "patina_hooks"
_NUMPY_ERRORS: Final = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}
_LOGGING_DEFAULTS: Final[tuple[int, list[Any], int]] = (30, [], 0)


class ProcessState:
    """Working folder, umask, environment, import path, logging, warnings, numpy, locale, signals and streams.

    Umask, environment, locale, streams and signals are saved only in the main thread, since patina's own
    threads may change them for a moment. What libraries may set for themselves is not restored: variables
    that neither git nor patina reads, filters that ignore warnings, entries at the end of the import path.
    """

    def __init__(self) -> None:
        self._folder = _working_folder()
        self._path = list(sys.path)
        self._recursion = sys.getrecursionlimit()
        self._logging = _logging()
        self._warnings = list(warnings.filters) if (warnings := _imported("warnings")) else []
        self._numpy_errors = _numpy_errors()
        self._is_main = threading.current_thread() is threading.main_thread()
        if self._is_main:
            self._umask = _umask()
            self._environment = _environment()
            self._locale = _locale()
            self._streams = (sys.stdin, sys.stdout, sys.stderr)
            self._handlers = [signal.getsignal(number) for number in _SIGNALS]
            self._excepthooks = (sys.excepthook, threading.excepthook)
            self._has_timer = _has_timer()

    def restore(self) -> None:
        """Restore what differs."""
        if self._folder and _working_folder() != self._folder:
            with suppress(OSError):
                os.chdir(self._folder)
        if sys.path != self._path:
            sys.path[:] = [*self._path, *(entry for entry in sys.path if entry not in self._path)]
        if sys.getrecursionlimit() != self._recursion:
            sys.setrecursionlimit(self._recursion)
        self._restore_logging()
        self._restore_warnings()
        if _numpy_errors() != self._numpy_errors:
            sys.modules["numpy"].seterr(**self._numpy_errors)
        if self._is_main:
            self._restore_main()

    def _restore_main(self) -> None:
        os.umask(self._umask)
        self._restore_environment()
        if self._locale and (module := _imported("locale")) and _locale() != self._locale:
            module.setlocale(module.LC_ALL, self._locale)
        sys.stdin, sys.stdout, sys.stderr = self._streams
        sys.excepthook, threading.excepthook = self._excepthooks
        if _has_timer() and not self._has_timer:
            signal.setitimer(signal.ITIMER_REAL, 0)  # without its handler, the alarm would end the process
        for number, handler in zip(_SIGNALS, self._handlers, strict=True):
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)

    def _restore_environment(self) -> None:
        if _environment() == self._environment:
            return
        previous, current = _our_variables(self._environment), _our_variables(_environment())
        for name in current.keys() - previous.keys():
            os.environ.pop(name, None)
        os.environ.update(previous)

    def _restore_logging(self) -> None:
        module = _imported("logging")
        if module is None:
            return
        level, handlers, disabled = self._logging
        root = module.root
        if root.handlers != handlers:
            root.handlers[:] = handlers
        if root.level != level:
            root.setLevel(level)
        if root.manager.disable != disabled:
            module.disable(disabled)
        loggers = root.manager.loggerDict
        for name in _own_loggers(len(loggers)):
            if getattr(loggers[name], "disabled", False):
                loggers[name].disabled = False

    def _restore_warnings(self) -> None:
        module = _imported("warnings")
        if module and module.filters != self._warnings:
            module.filters[:] = [
                entry for entry in module.filters if entry[0] == "ignore" or entry in self._warnings
            ]


def _imported(name: str) -> ModuleType | None:
    """Return an imported module, None if it is absent or another thread still imports it."""
    module = sys.modules.get(name)
    return None if getattr(getattr(module, "__spec__", None), "_initializing", False) else module


def _working_folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 (Path.cwd() takes three times as long)
    except OSError:
        return ""


def _has_timer() -> bool:
    return hasattr(signal, "getitimer") and signal.getitimer(signal.ITIMER_REAL)[0] > 0


def _numpy_errors() -> dict[str, str]:
    """Return how numpy handles floating-point errors in this thread."""
    numpy = _imported("numpy")
    return numpy.geterr() if numpy else _NUMPY_ERRORS


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _environment() -> Mapping[Any, Any]:
    """Copy the undecoded variables of `os.environ`: decoding them takes 60 us per call."""
    return dict(getattr(os.environ, "_data", os.environ))


def _our_variables(environment: Mapping[Any, Any]) -> dict[str, str]:
    decoded = ((os.fsdecode(name), os.fsdecode(value)) for name, value in environment.items())
    return {name: value for name, value in decoded if name.startswith(_OURS) or name in _OURS_BY_NAME}


@lru_cache(maxsize=1)
def _own_loggers(count: int) -> tuple[str, ...]:
    """Return the names of this package's loggers.

    count: of all loggers, which are never removed.
    """
    names = list(sys.modules["logging"].root.manager.loggerDict)
    return tuple(name for name in names if name.partition(".")[0] == _LOGGER)


def _logging() -> tuple[int, list[Any], int]:
    module = _imported("logging")
    if module is None:
        return _LOGGING_DEFAULTS
    return module.root.level, list(module.root.handlers), module.root.manager.disable


def _locale() -> str:
    module = _imported("locale")
    return str(module.setlocale(module.LC_ALL)) if module else ""
