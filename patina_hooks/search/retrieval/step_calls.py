"""Calls of what plugins add to a search: retrievers, query rewriters, rerankers and filters.

Whatever such a function does, the question is answered: what it raises, and a value of another shape, is a
fault, and the answer goes on without it. Each runs in its plugin's thread and may take a minute, as other
plugin calls may; Python cannot stop it, so a plugin that exceeds that is not called again by this process.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from patina_hooks.errors import PluginError
from patina_hooks.plugins.calls import BUILTIN, SHORT_CALL_SECONDS, PluginFunction
from patina_hooks.plugins.hook_threads import HookThread, HookTimeout
from patina_hooks.search.retrieval.lent_view import LentView

if TYPE_CHECKING:
    from patina_hooks.plugins.kinds import Kind
    from patina_hooks.plugins.manager import Plugins
    from patina_hooks.search.retrieval.ranked_view import RankedView
    from patina_hooks.specs.plugins import RecordedError
    from patina_hooks.specs.retrieval import View

Value = TypeVar("Value")
STEP_SECONDS: Final = SHORT_CALL_SECONDS
_GIVEN_UP: Final = "this process does not call the plugin again"


class StepCalls:
    """Calls functions of plugins, and tells which failed.

    called: (plugin, action) of each function that was called.
    """

    def __init__(self, plugins: Plugins, on_fault: Callable[[RecordedError], None] = lambda _: None) -> None:
        self.plugins = plugins
        self.called: set[tuple[str, str]] = set()
        self._on_fault = on_fault
        self._threads: dict[str, HookThread] = {}

    def open(self, kind: Kind[Any], name: str) -> PluginFunction | None:
        """Open a function by name; one that is not installed, or cannot be opened, is a fault and None."""
        plugin = BUILTIN
        try:
            plugin = self.plugins.owner(kind, name)
            return self.plugins.open_spec(kind, name)
        except PluginError as error:
            self._on_fault(self.plugins.record_fault(plugin, f"{kind.noun} {name}", error))
            return None

    def call(
        self, function: PluginFunction, view: RankedView, request: Callable[[View], Value], otherwise: Value
    ) -> Value:
        """Call a function and read its result.

        Args:
            function: the function, for messages.
            view: lent to the function until it returns.
            request: calls the function with the view and reads the answer; an exception is an error of it.
            otherwise: the value where the function fails.

        Raises:
            PluginError: in strict mode, where the function fails; where the model cannot be opened.
            IndexDamaged: there are no vectors, or they cannot be used.
        """
        thread = self._threads.setdefault(function.plugin, HookThread(function.plugin))
        if thread.is_abandoned:
            return otherwise
        self.called.add((function.plugin, function.action))
        lent = LentView(view)
        try:
            with function.guarded():
                answer = thread.call(partial(_outcome, request, lent), STEP_SECONDS)
        except HookTimeout:
            answer = _Failure(TimeoutError(f"did not return within {STEP_SECONDS:g} s; {_GIVEN_UP}"))
        finally:
            lent.end()
        if lent.error is not None:
            raise lent.error
        if isinstance(answer, _Failure):
            self._on_fault(self.plugins.record_failure(function, answer.error))
            return otherwise
        return cast("Value", answer)


@dataclass(frozen=True, slots=True)
class _Failure:
    error: BaseException


def _outcome(request: Callable[[View], Value], view: View) -> Value | _Failure:
    """Return what a function gives or raises, be it a `KeyboardInterrupt`: Ctrl-C reaches the main thread."""
    try:
        return request(view)
    except BaseException as error:
        return _Failure(error)
