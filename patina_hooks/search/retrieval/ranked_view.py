"""A view whose groups can be shown: what the engine and an evaluation give to retrievers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from patina_hooks.specs.retrieval import View

if TYPE_CHECKING:
    from patina_hooks.specs.retrieval import Group
    from patina_hooks.store.search.answers import ObservationRow


class RankedView(View, Protocol):
    """A view whose groups can be shown."""

    def rows(self, numbers: Iterable[int]) -> list[ObservationRow]:
        """Return visible observations."""
        ...

    def first(self, group: Group) -> int | None:
        """Return the visible observation with which a group begins, None for none."""
        ...
