"""Open the active model in parallel with the other preparations of a query.

Most of the time to a first answer is spent in the runtime's native code, which does not block the
interpreter: a command may call git and reconcile meanwhile.
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
    """The active model of the repository around a folder, opened in a thread.

    If the model cannot be opened, `encoder` raises the error. Any other error occurs again, with its message,
    when the caller opens the model itself.
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
        """Wait for the model of this space, None if another one was opened.

        Raises:
            PluginError: it cannot be opened; another attempt could take as long.
        """
        self.wait()
        if self._space is None or self._space.opened_by != space.opened_by:
            return None
        if self._failed:
            raise self._failed
        return self._encoder

    def wait(self) -> None:
        """Wait for the thread: the interpreter must not end while it runs native code."""
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
    """Open the model of a space without a check of its vectors. Raises `PluginError`.

    ready: see `patina_hooks.models.encoding.open_encoder`.
    """
    return open_encoder(plugins, space.model, space.runtime, reading=space.reading, ready=ready)


def open_checked_encoder(plugins: Plugins, space: VectorSpace, state: Path) -> Encoder:
    """Open the model of a space. Raises `PluginError`, or `IndexDamaged` if its vectors differ."""
    encoder = open_space_encoder(plugins, space)
    check_encoder(state, space, encoder)
    return encoder


def _space_around(folder: Path) -> VectorSpace | None:
    """Return the active space, None if another user wrote the state, since git was not called yet."""
    _, common = find_work_tree(folder)
    state = common / _STATE_FOLDER
    if hasattr(os, "getuid") and state.stat().st_uid != os.getuid():
        return None
    with closing(Log(state, create=False)) as log:
        return active_space(log)
