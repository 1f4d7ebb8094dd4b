"""Calls into plugins: each is timed, and followed by a check of the process state that it may have changed.

    with plugin_call("patina-acme", "import of patina_acme"):
        ...

A thread watches the calls: after one second a file in the state folder shows the call to `patina status` and
`patina doctor`, after three seconds the plugin is named. A call that holds Python's global lock stops that
thread too.
"""

from __future__ import annotations

import io
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from patina_hooks.errors import SettingsError
from patina_hooks.system.process_state import ProcessState
from patina_hooks.text.display import error_text

if TYPE_CHECKING:
    from patina_hooks.plugins.running_calls import CallRecord

BUILTIN: Final = "patina-hooks"
RECORD_SECONDS: Final = 1.0
NAME_SECONDS: Final = 3.0
CALL_SECONDS: Final = 600.0
"""The time after which a worker ends in one call: a large model may take minutes to open."""
SHORT_CALL_SECONDS: Final = 60.0
"""The same for imports, register hooks, extractors and pair generators."""

ENGINE_PATIENCE: Final = 30.0
"""Added before such calls are named and recorded: a large model reads a batch for many seconds."""

_POLL_SECONDS: Final = 0.25
_NOT_A_PLUGIN: Final = frozenset({"patina_hooks", "importlib", "contextlib", "threading"})


@dataclass(slots=True, eq=False)
class PluginCall:
    """A call that has not returned. since: seconds since 1970."""

    plugin: str
    action: str
    limit: float
    patience: float
    state: Path | None
    since: float = field(default_factory=time.time)
    started: float = field(default_factory=time.monotonic)
    is_named: bool = False


@dataclass(slots=True)
class _Watch:
    """What the process does about calls that take long.

    on_slow: called once for each; on_limit: called for one that exceeds its limit.
    """

    on_slow: Callable[[PluginCall], None]
    on_limit: Callable[[PluginCall], None] | None = None
    calls: dict[int, PluginCall] = field(default_factory=dict)
    thread: threading.Thread | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    record: CallRecord | None = None


class _ToStderr(io.TextIOBase):
    """The stdout of plugins, which writes to stderr; closing it leaves stderr open."""

    encoding = "utf-8"

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()

    def fileno(self) -> int:
        return sys.stderr.fileno()

    def isatty(self) -> bool:
        return sys.stderr.isatty()

    def close(self) -> None:
        self.flush()

    @property
    def buffer(self) -> BinaryIO:
        return sys.stderr.buffer


_TO_STDERR: Final = _ToStderr()
"""Never freed: `print` in a thread borrows `sys.stdout`, and crashes where it is freed meanwhile."""


def _print(call: PluginCall) -> None:
    line = f"patina: {waiting_for(call)}; PATINA_DISABLE_PLUGINS={call.plugin} turns it off\n"
    with suppress(OSError, ValueError):
        sys.stderr.write(line)
        sys.stderr.flush()


_watch = _Watch(_print)
_folder = threading.local()


def waiting_for(call: PluginCall) -> str:
    """Describe a call that takes long, for a message."""
    return f"waiting for plugin {call.plugin} ({call.action})"


def watch_calls(on_limit: Callable[[PluginCall], None], on_slow: Callable[[PluginCall], None]) -> None:
    """Set what this process does about calls that take long. Both functions run in the watching thread.

    Args:
        on_limit: called for a call that exceeds its limit; it ends the process.
        on_slow: called once for each slow call.
    """
    _watch.on_limit, _watch.on_slow = on_limit, on_slow


@contextmanager
def limited_calls(on_limit: Callable[[PluginCall], None]) -> Iterator[None]:
    """Have calls that exceed their limit handled; see `watch_calls`."""
    before = _watch.on_limit
    _watch.on_limit = on_limit
    try:
        yield
    finally:
        _watch.on_limit = before


@contextmanager
def recorded_in(state: Path) -> Iterator[None]:
    """Record slow calls of this thread in the state folder."""
    before = getattr(_folder, "state", None)
    _folder.state = state
    try:
        yield
    finally:
        _folder.state = before


@contextmanager
def plugin_call(
    plugin: str, action: str, limit: float = CALL_SECONDS, *, patience: float = 0.0
) -> Iterator[None]:
    """Guard a call into a plugin; what it prints goes to stderr."""
    if plugin == BUILTIN:
        yield
        return
    call = PluginCall(plugin, action, limit, patience, getattr(_folder, "state", None))
    _watch.calls[id(call)] = call
    if _watch.thread is None:
        _start_watching()
    process, before = os.getpid(), ProcessState()
    if threading.current_thread() is threading.main_thread():
        sys.stdout = _TO_STDERR
    try:
        yield
    finally:
        end_forked_child(process)
        before.restore()
        del _watch.calls[id(call)]


def end_forked_child(process: int) -> None:
    """End this process where it is a fork that a plugin's code did not end, and would do our work twice.

    process: the one that made the call.
    """
    if os.getpid() != process:
        os._exit(1)


class PluginFunction:
    """Code that a plugin provides; each call is guarded.

    action: what a message says is called, such as "extractor tickets".
    """

    def __init__(
        self,
        plugin: str,
        action: str,
        reference: str,
        function: Callable[..., Any],
        limit: float = CALL_SECONDS,
    ) -> None:
        self.plugin = plugin
        self.action = action
        self.function = function
        self._module = reference.partition(":")[0]
        self._limit = limit

    def __call__(self, *arguments: object, **named: object) -> Any:  # noqa: ANN401 (what the plugin gives)
        with self.guarded():
            return self.function(*arguments, **named)

    def guarded(self, patience: float = 0.0) -> AbstractContextManager[None]:
        """Guard code that uses what the function gave, such as an iterator."""
        return plugin_call(self.plugin, self.action, self._limit, patience=patience)

    def failure(self, error: BaseException) -> str:
        """Return an error in words, with file and line of the plugin."""
        return failure_of(error, self._module)


def _start_watching() -> None:
    with _watch.lock:
        if _watch.thread is None:
            _watch.thread = threading.Thread(target=_look, name="clock of plugins", daemon=True)
            _watch.thread.start()


def _look() -> None:
    while True:
        time.sleep(_POLL_SECONDS)
        with _watch.lock:
            if not _watch.calls:
                _record(None)
                _watch.thread = None
                return
        now = time.monotonic()
        calls = sorted(_watch.calls.copy().values(), key=lambda call: call.started)
        slow = [call for call in calls if now - call.started > RECORD_SECONDS + call.patience]
        _record(slow[-1] if slow else None)
        for call in slow:
            if now - call.started > NAME_SECONDS + call.patience and not call.is_named:
                call.is_named = True
                _watch.on_slow(call)
            if _watch.on_limit and now - call.started > call.limit:
                _watch.on_limit(call)


def _record(call: PluginCall | None) -> None:
    """Update the file of this process; errors of writing are ignored."""
    if call is not None and call.state is not None:
        from patina_hooks.plugins.running_calls import CallRecord

        if _watch.record is None or _watch.record.state != call.state:
            _watch.record = CallRecord(call.state)
        _watch.record.write(call.plugin, call.action, call.since)
    elif _watch.record is not None:
        _watch.record.remove()
        _watch.record = None


# --- failures ------------------------------------------------------------------------------------


def failure_of(error: BaseException, module: str = "") -> str:
    """Return the error in words, with file and line of the plugin's own code.

    Args:
        error: what a call raised; also one whose own `__str__` raises.
        module: a module of the plugin, "" where that is not known.
    """
    if isinstance(error, SettingsError):  # its message is complete: file, line and key
        words = error_text(str(error))
    else:
        words = error_text("".join(traceback.format_exception_only(error)).strip())
    if isinstance(error, SyntaxError):
        return words
    location = _location_of(error, module.partition(".")[0])
    return f"{words} ({location})" if location else words


def _location_of(error: BaseException, package: str) -> str:
    """Return the innermost line of the package, or else of any code that is not patina's."""
    frames = [
        (frame.f_globals.get("__name__", ""), frame.f_code.co_filename, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    own = [entry for entry in frames if package and str(entry[0]).partition(".")[0] == package]
    foreign = [entry for entry in frames if str(entry[0]).partition(".")[0] not in _NOT_A_PLUGIN]
    for name, file, line in reversed(own or foreign):
        return f"{_short(str(name), file)}:{line}"
    return ""


def _short(module: str, file: str) -> str:
    """Return the file's path from its package's folder on."""
    parts = Path(file).parts
    depth = len(module.split(".")) + (1 if parts and parts[-1] == "__init__.py" else 0)
    return str(Path(*parts[-depth:])) if parts else os.fspath(file)
