"""A view as a plugin gets it: for one call, with the methods that `View` documents and no others."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from threading import RLock
from typing import TYPE_CHECKING, Literal

from patina_hooks.errors import PatinaError

if TYPE_CHECKING:
    from patina_hooks.search.retrieval.ranked_view import RankedView
    from patina_hooks.specs.retrieval import Group, VisibleObservation


class LentView:
    """Passes calls on until the call of the plugin is over; see `patina_hooks.specs.retrieval.View`.

    A plugin that exceeds its time limit goes on in its thread: it must not read from a connection that
    answers the next question by then. An iterator that it keeps would hold the snapshot of this question.
    """

    def __init__(self, view: RankedView) -> None:
        self._view = view
        self._lock = RLock()
        self._is_over = False
        self._iterators: dict[object, Iterator[VisibleObservation]] = {}
        self.error: Exception | None = None
        """What the store or the model raised: that is not the plugin's mistake, even where it hid it."""

    def end(self) -> None:
        """Refuse every later call."""
        with self._lock:
            self._is_over = True
            self._iterators.clear()

    def match_observations(self, question: str, limit: int) -> Mapping[int, float]:
        """Return the best visible observations by BM25."""
        with self._using():
            return self._view.match_observations(question, limit)

    def match_documents(
        self, column: Literal["title", "body"], question: str, limit: int
    ) -> Mapping[Group, float]:
        """Return the groups of the best session documents by BM25, those that show something."""
        if column not in ("title", "body"):
            raise ValueError(f"unknown column {column!r}; choose from title, body")
        with self._using():
            scores = self._view.match_documents(column, question, limit)
            return {group: score for group, score in scores.items() if self._view.first(group) is not None}

    def nearest(self, question: str, limit: int) -> Mapping[int, float]:
        """Return the visible observations of the nearest texts."""
        with self._using():
            return self._view.nearest(question, limit)

    def visible(self, numbers: Iterable[int]) -> Collection[int]:
        """Return which of these numbers are visible observations."""
        with self._using():
            return self._view.visible(numbers)

    def observations(self) -> Iterator[VisibleObservation]:
        """Return every visible observation."""
        key = object()
        with self._using():
            self._iterators[key] = iter(self._view.observations())
        return iter(partial(self._next_observation, key), None)

    def texts(self, numbers: Iterable[int]) -> Mapping[int, str]:
        """Return the texts of visible observations."""
        with self._using():
            return self._view.texts(self._view.visible(numbers))

    def groups(self, numbers: Collection[int]) -> Mapping[int, Sequence[Group]]:
        """Return the groups that visible observations speak for."""
        with self._using():
            return self._view.groups(self._view.visible(numbers))

    def _next_observation(self, key: object) -> VisibleObservation | None:
        with self._using():
            return next(self._iterators[key], None)

    @contextmanager
    def _using(self) -> Iterator[None]:
        with self._lock:
            if self._is_over:
                raise RuntimeError("a view cannot be used after the call that it was made for")
            try:
                yield
            except Exception as error:
                # The other errors of SQLite come from arguments, which are the plugin's.
                if isinstance(error, PatinaError) or type(error) in (
                    sqlite3.DatabaseError,
                    sqlite3.OperationalError,
                ):
                    self.error = error
                raise
