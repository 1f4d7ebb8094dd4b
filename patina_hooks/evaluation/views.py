"""Views of an evaluation: what one question of a query set may see, for the retrievers of a search.

Tables of words in memory hold what a question may see. What is hidden from it is taken out while it is
asked, so that not even the counts that tell how common a word is know of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import numpy as np

from patina_hooks.search.retrieval.lexical import Words
from patina_hooks.specs.retrieval import VisibleObservation
from patina_hooks.store.search.answers import ObservationRow
from patina_hooks.store.search.words import (
    add_document_words,
    add_observation_words,
    open_word_tables,
    remove_document_words,
    remove_observation_words,
    rolled_back,
)
from patina_hooks.text.words import prepare_index_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from patina_hooks.evaluation.query_sets.mining import MinedQuery, QuerySet
    from patina_hooks.evaluation.vector_ranking import QuestionScores
    from patina_hooks.specs.retrieval import Group


class PastView(ABC):
    """What the question that is shown may see of a query set; see `patina_hooks.specs.retrieval.View`.

    An observation is the number of its piece. The words of a row are those of observation `row - 1`.
    """

    kind: str
    """Of the groups: "session" or "file"."""

    def __init__(self, query_set: QuerySet) -> None:
        self._set = query_set
        self._connection = open_word_tables()
        self._names: list[Group] = [(self.kind, name) for name in query_set.units]
        self.numbers = {group: number for number, group in enumerate(self._names)}
        self._hidden: NDArray[np.bool_] = np.zeros(len(query_set.pieces), np.bool_)
        self._candidates: NDArray[np.bool_] | None = None
        self.vectors: QuestionScores | None = None
        """How near texts are to the question, None where vectors take no part."""

    def close(self) -> None:
        """Let go of the tables."""
        self._connection.close()

    @contextmanager
    def showing(self, query: MinedQuery) -> Iterator[None]:
        """Show what one question may see. Rolling questions come in their order."""
        self._hidden = self._set.hidden(query)
        self._candidates = None if query.candidates is None else query.candidates.flags
        try:
            with self._showing_words(query):
                yield
        finally:
            self.vectors = None

    def match_observations(self, question: str, limit: int) -> Mapping[int, float]:
        """Return the best visible observations by BM25."""
        rows = Words(self._connection, question).observations(limit)
        return {row - 1: score for row, score in rows}

    def match_documents(
        self, column: Literal["title", "body"], question: str, limit: int
    ) -> Mapping[Group, float]:
        """Return the groups of the best documents by BM25."""
        rows = Words(self._connection, question).sessions(column, limit)
        return {self._names[row - 1]: score for row, score in rows if self._may_answer(row - 1)}

    def nearest(self, question: str, limit: int) -> Mapping[int, float]:
        """Return the visible observations of the nearest texts."""
        return self.vectors.nearest(question, self._hidden, limit) if self.vectors else {}

    def visible(self, numbers: Iterable[int]) -> Collection[int]:
        """Return which of these numbers are visible observations."""
        return {number for number in numbers if 0 <= number < len(self._hidden) and not self._hidden[number]}

    def observations(self) -> Iterator[VisibleObservation]:
        """Return every visible observation."""
        for number, piece in enumerate(self._set.pieces):
            if not self._hidden[number]:
                yield VisibleObservation(number, piece.kind, piece.text)

    def texts(self, numbers: Iterable[int]) -> Mapping[int, str]:
        """Return the texts of visible observations."""
        return {number: self._set.pieces[number].text for number in self.visible(numbers)}

    def groups(self, numbers: Collection[int]) -> Mapping[int, Sequence[Group]]:
        """Return the groups that observations speak for, those that may answer."""
        return {
            number: [self._names[unit] for unit in self._units_of(number) if self._may_answer(unit)]
            for number in numbers
        }

    def rows(self, numbers: Iterable[int]) -> list[ObservationRow]:
        """Return observations, of equal weight."""
        return [ObservationRow(number, self._set.pieces[number].key, 1.0, 0) for number in numbers]

    def first(self, group: Group) -> int | None:
        """Return the first visible observation of a group, None for none."""
        unit = self.numbers[group]
        start, end = np.searchsorted(self._set.link_units, [unit, unit + 1])
        return next(iter(sorted(self.visible(self._set.link_pieces[start:end].tolist()))), None)

    def may_answer(self, group: Group) -> bool:
        """Tell whether a group is one of the set, and may answer the question."""
        return group in self.numbers and self._may_answer(self.numbers[group])

    def _may_answer(self, unit: int) -> bool:
        return self._candidates is None or bool(self._candidates[unit])

    @abstractmethod
    def _units_of(self, number: int) -> Sequence[int]:
        """Return the units that an observation speaks for."""

    @abstractmethod
    @contextmanager
    def _showing_words(self, query: MinedQuery) -> Iterator[None]:
        """Have the tables hold what a question may see."""


class SessionView(PastView):
    """A set whose units are sessions, with the words of their documents and titles."""

    kind = "session"

    def __init__(self, query_set: QuerySet) -> None:
        super().__init__(query_set)
        self._owner = dict(zip(query_set.link_pieces.tolist(), query_set.link_units.tolist(), strict=True))
        self._owned: list[list[int]] = [[] for _ in query_set.units]
        for number in range(len(query_set.pieces)):
            self._owned[self._owner[number]].append(number)
        add_observation_words(self._connection, self._rows(range(len(query_set.pieces))))
        for unit, title in enumerate(query_set.titles):
            add_document_words(self._connection, self._document(unit, title))

    def _units_of(self, number: int) -> Sequence[int]:
        return (self._owner[number],)

    @contextmanager
    def _showing_words(self, query: MinedQuery) -> Iterator[None]:
        if not query.masked and not query.untitled:
            yield
            return
        with rolled_back(self._connection):
            remove_observation_words(self._connection, self._rows(query.masked))
            for unit in {self._owner[number] for number in query.masked} | query.untitled:
                title = self._set.titles[unit]
                remove_document_words(self._connection, self._document(unit, title))
                visible_title = "" if unit in query.untitled else title
                add_document_words(self._connection, self._document(unit, visible_title, query.masked))
            yield

    def _rows(self, numbers: Iterable[int]) -> Iterator[tuple[int, str]]:
        return ((number + 1, prepare_index_text(self._set.pieces[number].text)) for number in numbers)

    def _document(self, unit: int, title: str, without: frozenset[int] = frozenset()) -> tuple[int, str, str]:
        texts = [self._set.pieces[number].text for number in self._owned[unit] if number not in without]
        return unit + 1, prepare_index_text(title), prepare_index_text("\n".join(texts))


class FileView(PastView):
    """A rolling set, whose units are files: messages speak for the files of their commits.

    The path of each file is one more observation, after all messages. The tables grow as time goes on.
    """

    kind = "file"

    def __init__(self, query_set: QuerySet) -> None:
        super().__init__(query_set)
        self._units: list[list[int]] = [[] for _ in query_set.pieces]
        for number, unit in zip(query_set.link_pieces.tolist(), query_set.link_units.tolist(), strict=True):
            self._units[number].append(unit)
        self._seen = 0
        self._present = np.zeros(len(query_set.units), np.bool_)

    def _units_of(self, number: int) -> Sequence[int]:
        first = len(self._units)
        return self._units[number] if number < first else (number - first,)

    @contextmanager
    def _showing_words(self, query: MinedQuery) -> Iterator[None]:
        fresh = range(self._seen, query.visible_passages)
        texts = ((number + 1, prepare_index_text(self._set.pieces[number].text)) for number in fresh)
        add_observation_words(self._connection, texts)
        self._seen = max(self._seen, query.visible_passages)
        if self._candidates is not None:
            new = np.flatnonzero(self._candidates & ~self._present).tolist()
            first = len(self._units) + 1
            paths = ((first + unit, prepare_index_text(self._set.titles[unit])) for unit in new)
            add_observation_words(self._connection, paths)
            self._present |= self._candidates
        yield


def view_of(query_set: QuerySet) -> PastView:
    """Return the view of a set, which shows one question after the other."""
    return FileView(query_set) if query_set.rolling else SessionView(query_set)
