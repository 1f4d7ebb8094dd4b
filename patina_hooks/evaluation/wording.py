"""The lexical channels: BM25 in tables like those of the log, that hold only what a question may see.

What is hidden from a question is taken out of the tables while it is asked, so that not even the counts
that tell how common a word is know of it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import numpy as np

from patina_hooks.search.retrieval.lexical import Words
from patina_hooks.text.words import text_to_index

if TYPE_CHECKING:
    from patina_hooks.evaluation.query_sets.mining import Query, QuerySet

CANDIDATES: Final = 200
"""How many a channel hands to fusion: as many as `patina_hooks.search.scry` asks for."""

Found = dict[int, float]
"""Unit -> score, higher is better."""


class Lexicon:
    """The two tables, in memory. Numbers of rows begin with 0."""

    def __init__(self, schema: Sequence[str]) -> None:
        self._connection = sqlite3.connect(":memory:", isolation_level=None)
        for statement in schema:
            self._connection.execute(statement)

    def close(self) -> None:
        self._connection.close()

    def add_observations(self, rows: Iterable[tuple[int, str]], *, remove: bool = False) -> None:
        how = (
            "(observation_words, rowid, words) VALUES ('delete', ?, ?)"
            if remove
            else "(rowid, words) VALUES (?, ?)"
        )
        words = [(number + 1, text_to_index(text)) for number, text in rows]
        self._connection.executemany(f"INSERT INTO observation_words {how}", words)

    def add_session(self, number: int, title: str, body: str, *, remove: bool = False) -> None:
        how = (
            "(session_words, rowid, title, body) VALUES ('delete', ?, ?, ?)"
            if remove
            else "(rowid, title, body) VALUES (?, ?, ?)"
        )
        row = (number + 1, text_to_index(title), text_to_index(body))
        self._connection.execute(f"INSERT INTO session_words {how}", row)

    def ask(self, text: str) -> tuple[Found, Found, Found]:
        """(observation, session, title) rows with their scores."""
        words = Words(self._connection, text)
        found = (
            words.observations(CANDIDATES),
            words.sessions("body", CANDIDATES),
            words.sessions("title", CANDIDATES),
        )
        observation, session, title = ({row - 1: score for row, score in rows} for rows in found)
        return observation, session, title

    @contextmanager
    def changed(self) -> Iterator[None]:
        """What is added or removed within is so no longer."""
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.execute("ROLLBACK")


class SessionWording:
    """The words of a set whose units are sessions: what `scry` asks, in the same channels."""

    def __init__(self, query_set: QuerySet, schema: Sequence[str]) -> None:
        self._set = query_set
        self._lexicon = Lexicon(schema)
        self._owner = dict(zip(query_set.link_pieces.tolist(), query_set.link_units.tolist(), strict=True))
        self._owned: list[list[int]] = [[] for _ in query_set.units]
        for number in range(len(query_set.pieces)):
            self._owned[self._owner[number]].append(number)
        self._lexicon.add_observations((n, piece.text) for n, piece in enumerate(query_set.pieces))
        for unit, title in enumerate(query_set.titles):
            self._lexicon.add_session(unit, title, self._body(unit))

    def close(self) -> None:
        self._lexicon.close()

    def ask(self, query: Query) -> dict[str, Found]:
        """Channel (observation, session, title) -> what it found."""
        if not query.masked and not query.untitled:
            return self._ask(query)
        with self._lexicon.changed():
            self._hide(query)
            return self._ask(query)

    def _hide(self, query: Query) -> None:
        pieces = self._set.pieces
        hidden = ((number, pieces[number].text) for number in query.masked)
        self._lexicon.add_observations(hidden, remove=True)
        for unit in {self._owner[number] for number in query.masked} | query.untitled:
            title = self._set.titles[unit]
            self._lexicon.add_session(unit, title, self._body(unit), remove=True)
            shown = "" if unit in query.untitled else title
            self._lexicon.add_session(unit, shown, self._body(unit, query.masked))

    def _ask(self, query: Query) -> dict[str, Found]:
        observation, session, title = self._lexicon.ask(query.text)
        spoken = _best((self._owner[number], score) for number, score in observation.items())
        found = {"observation": spoken, "session": session, "title": title}
        return {channel: _allowed(query, units) for channel, units in found.items()}

    def _body(self, unit: int, without: frozenset[int] = frozenset()) -> str:
        pieces = self._set.pieces
        return "\n".join(pieces[number].text for number in self._owned[unit] if number not in without)


class FileWording:
    """The words of a rolling set: messages as observations, and each file's path as one more that speaks
    for it. Questions come in their order, and the tables grow as time goes on."""

    def __init__(self, query_set: QuerySet, schema: Sequence[str]) -> None:
        self._set = query_set
        self._lexicon = Lexicon(schema)
        self._units: list[list[int]] = [[] for _ in query_set.pieces]
        for number, unit in zip(query_set.link_pieces.tolist(), query_set.link_units.tolist(), strict=True):
            self._units[number].append(unit)
        self._seen = 0
        self._present = np.zeros(len(query_set.units), np.bool_)

    def close(self) -> None:
        self._lexicon.close()

    def ask(self, query: Query) -> dict[str, Found]:
        """Channel (observation) -> what it found."""
        self._learn(query)
        observation, _, _ = self._lexicon.ask(query.text)
        spoken = _best((unit, score) for row, score in observation.items() for unit in self._spoken_for(row))
        return {"observation": _allowed(query, spoken)}

    def _learn(self, query: Query) -> None:
        fresh = range(self._seen, query.seen)
        self._lexicon.add_observations((number, self._set.pieces[number].text) for number in fresh)
        self._seen = max(self._seen, query.seen)
        if query.candidates is not None:
            flags = query.candidates.flags
            new = np.flatnonzero(flags & ~self._present).tolist()
            first = len(self._set.pieces)
            self._lexicon.add_observations((first + unit, self._set.titles[unit]) for unit in new)
            self._present |= flags

    def _spoken_for(self, row: int) -> list[int]:
        """The files that a row of the table speaks for."""
        first = len(self._set.pieces)
        return self._units[row] if row < first else [row - first]


def wording_of(query_set: QuerySet, schema: Sequence[str]) -> SessionWording | FileWording:
    return FileWording(query_set, schema) if query_set.rolling else SessionWording(query_set, schema)


def _best(scores: Iterable[tuple[int, float]]) -> Found:
    best: Found = {}
    for unit, score in scores:
        best[unit] = max(score, best.get(unit, score))
    return best


def _allowed(query: Query, found: Mapping[int, float]) -> Found:
    if query.candidates is None:
        return dict(found)
    flags = query.candidates.flags
    return {unit: score for unit, score in found.items() if flags[unit]}
