"""The view of a search: all that is recorded, or what the filters of a question allow."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Literal

from patina_hooks.search.retrieval.lexical import Words
from patina_hooks.specs.sources import HISTORY
from patina_hooks.store.database.connection import read_data_version
from patina_hooks.store.search.answers import (
    ObservationRow,
    first_row,
    groups_of_documents,
    groups_of_sources,
    read_observation_texts,
    read_rows,
    rows_of_text,
    visible_observations,
)

if TYPE_CHECKING:
    import sqlite3

    from patina_hooks.search.filters.filters import Allowed
    from patina_hooks.specs.retrieval import Group, VisibleObservation

Nearest = Callable[[str, int, "frozenset[bytes] | None"], "list[tuple[bytes, float]]"]
"""(question, limit, allowed text keys or None for all) -> (text key, inner product), best first."""


class SourceGroups:
    """Which group each source belongs to; kept from one question to the next, until the log changes.

    For one connection, which writes nothing.
    """

    def __init__(self) -> None:
        self._version = -1
        self._groups: dict[int, Group] = {}

    def of(self, connection: sqlite3.Connection, sources: set[int]) -> Mapping[int, Group]:
        """Return the group of each source."""
        version = read_data_version(connection)
        if version != self._version:
            self._version, self._groups = version, {}
        self._groups |= groups_of_sources(connection, sources - self._groups.keys())
        return self._groups


class StoreView:
    """What one question may see of the log and the index; see `patina_hooks.specs.retrieval.View`."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        allowed: Allowed,
        nearest: Nearest | None = None,
        groups: SourceGroups | None = None,
        collection: str = HISTORY,
    ) -> None:
        """nearest: asks the vector index, None to do without; groups: of the last question."""
        self.collection = collection
        self.connection = connection
        self.allowed = allowed
        self._nearest = nearest
        self._groups = groups or SourceGroups()
        self._words: tuple[str, Words] | None = None
        self._rows: dict[int, ObservationRow] = {}

    def words(self, question: str) -> Words:
        """Return the words of a question, ready to be looked up."""
        if self._words is None or self._words[0] != question:
            self._words = (question, Words(self.connection, question))
        return self._words[1]

    def match_observations(self, question: str, limit: int) -> Mapping[int, float]:
        """Return the best observations by BM25."""
        return dict(self.words(question).observations(limit, self.allowed))

    def match_documents(
        self, column: Literal["title", "body"], question: str, limit: int
    ) -> Mapping[Group, float]:
        """Return the groups of the best session documents; those without an allowed observation too."""
        scores = dict(self.words(question).sessions(column, limit))
        best: dict[Group, float] = {}
        for number, group in groups_of_documents(self.connection, scores).items():
            best[group] = max(scores[number], best.get(group, scores[number]))
        return best

    def nearest(self, question: str, limit: int) -> Mapping[int, float]:
        """Return the observations of the nearest texts."""
        search = self._nearest
        if search is None:
            return {}

        def keep(rows: list[tuple[bytes, float]]) -> list[tuple[bytes, float]]:
            texts = self.allowed.texts_among([key for key, _ in rows])
            return [row for row in rows if row[0] in texts]

        near = self.allowed.best(
            lambda most: search(question, most, None),
            keep,
            lambda: search(question, limit, self.allowed.text_keys()),
            limit,
        )
        scores = {}
        for text, score in near:
            for row in rows_of_text(self.connection, text, self.allowed.rows):
                scores[row.number] = score
                self._rows[row.number] = row
        return scores

    def visible(self, numbers: Iterable[int]) -> Collection[int]:
        """Return which of these numbers are live observations that the filters allow."""
        return self.allowed.among(numbers)

    def observations(self) -> Iterator[VisibleObservation]:
        """Return every live observation that the filters allow."""
        return visible_observations(self.connection, self.allowed.rows)

    def texts(self, numbers: Iterable[int]) -> Mapping[int, str]:
        """Return the texts of observations."""
        return read_observation_texts(self.connection, numbers)

    def groups(self, numbers: Collection[int]) -> Mapping[int, tuple[Group, ...]]:
        """Return the one group of each observation."""
        rows = self.rows(numbers)
        of = self._groups.of(self.connection, {row.source for row in rows})
        return {row.number: (of[row.source],) for row in rows}

    def rows(self, numbers: Iterable[int]) -> list[ObservationRow]:
        """Return observations, those that were not read yet from the log."""
        numbers = list(numbers)
        self._rows |= {
            row.number: row
            for row in read_rows(self.connection, (number for number in numbers if number not in self._rows))
        }
        return [self._rows[number] for number in numbers]

    def first(self, group: Group) -> int | None:
        """Return where a group begins that only its title or the whole document found, None for none."""
        kind, name = group
        place = (name, "") if kind == "session" else (None, name)
        if kind != "commit" and not self.allowed.may_have(*place):
            return None
        return first_row(self.connection, group, self.allowed.rows)
