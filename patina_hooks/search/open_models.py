"""The models that answer one engine's questions, opened once and checked against the index."""

from __future__ import annotations

from typing import TYPE_CHECKING

from patina_hooks.errors import IndexDamaged, PluginError

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from patina_hooks.models.encoding import Encoder
    from patina_hooks.search.index.spaces import VectorSpace
    from patina_hooks.search.opening import Opening
    from patina_hooks.store.memory import Memory


class OpenModels:
    """Open models by vector space; a model that failed is not tried again until `forget_failures`."""

    def __init__(self, memory: Memory, opening: Opening | None = None) -> None:
        """Create it. opening: the active model, which a command has started to open."""
        self._memory = memory
        self._opening = opening
        self._encoders: dict[object, Encoder] = {}  # by `VectorSpace.opened_by`
        self._failed: dict[object, PluginError | IndexDamaged] = {}  # by the same, or by space
        self._checked: set[VectorSpace] = set()
        self._thread: ThreadPoolExecutor | None = None

    def close(self) -> None:
        """Let go of every model."""
        if self._thread:
            self._thread.shutdown()
            self._thread = None
        if self._opening:
            self._opening.wait()
            self._opening = None
        self._encoders.clear()
        self._failed.clear()
        self._checked.clear()

    def thread(self) -> ThreadPoolExecutor:
        """Return a thread in which an open model may read a question."""
        # 4 ms to import: a cold question does without.
        from concurrent.futures import ThreadPoolExecutor

        self._thread = self._thread or ThreadPoolExecutor(1)
        return self._thread

    def forget_failures(self) -> None:
        """Let the next question try again to open a model that failed."""
        self._failed.clear()

    def is_checked(self, space: VectorSpace) -> bool:
        """Tell whether the model of a space is open and gives the vectors that the space holds."""
        return space in self._checked

    def checked(self, space: VectorSpace) -> Encoder:
        """Return the model of a space, which gives the vectors that the space holds.

        Raises:
            PluginError: the model cannot be opened.
            IndexDamaged: the model gives other vectors.
        """
        if space in self._failed:
            raise self._failed[space]
        from patina_hooks.search.index.probing import check_encoder

        encoder = self.open(space)
        if space not in self._checked:
            try:
                check_encoder(self._memory.repository.state, space, encoder)
            except (PluginError, IndexDamaged) as error:
                self._failed[space] = error
                raise
            self._checked.add(space)
        return encoder

    def open(self, space: VectorSpace) -> Encoder:
        """Return the model of a space, unchecked.

        A model that cannot be opened may take long to say so (a server that stalls): once is enough.
        """
        from patina_hooks.search.opening import open_space_encoder

        key = space.opened_by
        if key in self._failed:
            raise self._failed[key]
        if key not in self._encoders:
            try:
                early = self._opening.encoder(space) if self._opening else None
                self._encoders[key] = early or open_space_encoder(self._memory.plugins, space)
            except PluginError as error:
                self._failed[key] = error
                raise
        return self._encoders[key]
