"""An opened repository, as evaluation and training see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from patina_hooks.git.repository import Repository
    from patina_hooks.plugins.manager import Plugins


class Memory(Protocol):
    """A repository with the plugins that read it. `patina_hooks.Patina` is one."""

    @property
    def repository(self) -> Repository:
        """The repository."""
        ...

    @property
    def plugins(self) -> Plugins:
        """The plugins that are loaded."""
        ...
