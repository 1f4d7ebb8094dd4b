"""The vector of one question, made once for all collections that are asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import Future

    from patina_hooks.search.index.spaces import VectorSpace
    from patina_hooks.search.open_models import OpenModels
    from patina_hooks.search.query import Query
    from patina_hooks.specs.vectors import Vectors


class QuestionVectors:
    """Vectors [d] of a question, and of what rewriters make of it, by model."""

    def __init__(self, models: OpenModels, query: Query, *, early: bool) -> None:
        """early: whether the text of the query itself is sure to be asked for."""
        self._models = models
        self._query = query
        self._early = early and query.mode == "hybrid"
        self._made: dict[tuple[object, str], Vectors] = {}
        self._started: dict[object, Future[Vectors]] = {}

    def begin(self, space: VectorSpace) -> None:
        """Have an open model read the question in another thread, while words are looked up.

        A model that is not open yet is opened in the thread of the caller, since that imports.
        """
        key = space.opened_by
        if not self._early or key in self._started or not self._models.is_checked(space):
            return
        self._started[key] = self._models.thread().submit(self._encode, space, self._query.text)

    def of(self, space: VectorSpace, text: str) -> Vectors:
        """Return the vector of a text. Raises as `OpenModels.checked`."""
        key = (space.opened_by, text)
        if key not in self._made:
            started = self._started.get(space.opened_by) if text == self._query.text else None
            self._made[key] = started.result() if started else self._encode(space, text)
        return self._made[key]

    def _encode(self, space: VectorSpace, text: str) -> Vectors:
        vector: Vectors = self._models.checked(space).encode([text], role="query").vectors[0]
        return vector
