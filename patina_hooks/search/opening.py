"""Opening the model that answers, beside everything else that a question needs.

Most of the time to a first answer goes into the runtime's own code, which leaves the interpreter free: a
command may ask git and reconcile meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from threading import Event, Thread

from patina_hooks.errors import PatinaError, PluginError
from patina_hooks.git.discovery import find_work_tree
from patina_hooks.models.choice import provider_of
from patina_hooks.models.encoding import Encoder, open_encoder
from patina_hooks.plugins.manager import Plugins
from patina_hooks.search.index.probing import check_encoder
from patina_hooks.search.index.spaces import VectorSpace, active_space
from patina_hooks.store.log import Log

_STATE_FOLDER = "patina"


class Opening:
    """The answering model of the repository around a folder, being opened in a thread.

    A model that cannot be opened is told to the caller that asks for it. What else goes wrong is left for the
    caller to meet, with its message, when it opens the model itself.
    """

    def __init__(self, folder: Path) -> None:
        self.plugins = Plugins.load()
        self._encoder: Encoder | None = None
        self._failed: PluginError | None = None
        self._thread: Thread | None = None
        self._space: VectorSpace | None = None
        with suppress(PatinaError, ImportError, OSError, ValueError):
            self._space = _space_around(folder)
            if self._space is not None:
                self._begin(self._space)

    def encoder(self, space: VectorSpace) -> Encoder | None:
        """The model of this space once it is open, None where another was opened.

        Raises `PluginError` where this one could not be: to try again could take as long.
        """
        self.wait()
        if self._space is None or self._space.opened_by != space.opened_by:
            return None
        if self._failed:
            raise self._failed
        return self._encoder

    def wait(self) -> None:
        """The interpreter must not end while a thread is in the midst of a runtime's own code."""
        if self._thread is not None:
            self._thread.join()

    def _begin(self, space: VectorSpace) -> None:
        provider = provider_of(self.plugins.model(space.model), space.runtime)
        imported = Event()
        self._thread = Thread(target=self._open, args=[space, imported], daemon=True)
        self._thread.start()
        try:
            # Here and not in the thread, which checks the model's files meanwhile: of two imports at once,
            # one may get half a module.
            self.plugins.import_runtime(provider)
        finally:
            imported.set()

    def _open(self, space: VectorSpace, imported: Event) -> None:
        try:
            self._encoder = open_space_encoder(self.plugins, space, ready=imported.wait)
        except PluginError as error:
            self._failed = error
        except PatinaError:
            pass


def open_space_encoder(
    plugins: Plugins, space: VectorSpace, *, ready: Callable[[], object] | None = None
) -> Encoder:
    """Open the model of a space, which may hold vectors of another one by now. Raises `PluginError`.

    ready: see `patina_hooks.models.encoding.open_encoder`.
    """
    return open_encoder(plugins, space.model, space.runtime, reading=space.reading, ready=ready)


def open_checked_encoder(plugins: Plugins, space: VectorSpace, state: Path) -> Encoder:
    """Open the model of a space. Raises `PluginError`, or `IndexDamaged` where it gives other vectors."""
    encoder = open_space_encoder(plugins, space)
    check_encoder(state, space, encoder)
    return encoder


def _space_around(folder: Path) -> VectorSpace | None:
    """What answers here; None where another user wrote the state, since git was not asked yet."""
    _, common = find_work_tree(folder)
    state = common / _STATE_FOLDER
    if hasattr(os, "getuid") and state.stat().st_uid != os.getuid():
        return None
    with closing(Log(state, create=False)) as log:
        return active_space(log)
