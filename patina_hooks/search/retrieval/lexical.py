"""The words' side of the index: BM25 by SQLite's FTS5 over observations, whole sessions and titles.

A word that a fifth of all texts say tells nothing and costs most (283 ms against 15 ms for common words on
100,000 texts): such words are left out while others remain. Of a long question the rarest words are kept.
"""

from __future__ import annotations

from heapq import nsmallest
from itertools import islice
from typing import TYPE_CHECKING, Final

from patina_hooks.store.search.words import WordTable, count_rows, count_term, match_words, tokenize
from patina_hooks.text.words import split_query

if TYPE_CHECKING:
    import sqlite3

    from patina_hooks.search.filters.filters import Allowed

_COMMON = 0.2
_MOST_TERMS = 64
LONGEST_QUESTION: Final = 1_000
"""Words of a question that are looked at; the rarest of them are asked for."""


class Words:
    """The words of one query, ready for either table. Empty where the query has none."""

    def __init__(self, connection: sqlite3.Connection, query: str) -> None:
        self._connection = connection
        self._terms = _terms(query, LONGEST_QUESTION)

    def observations(self, limit: int, allowed: Allowed | None = None) -> list[tuple[int, float]]:
        """Return (observation id, BM25, higher is better), best first; of those allowed only."""
        match = self._match("observation", "words")

        def search(most: int, *, allowed: bool = False) -> list[tuple[int, float]]:
            return match_words(self._connection, "observation", match, most, allowed=allowed)

        if allowed is None:
            return _without_border(search(limit), limit)
        rows = allowed.best(
            search,
            lambda rows: _among(rows, allowed.among(number for number, _ in rows)),
            lambda: search(limit, allowed=True),
            limit,
        )
        return _without_border(rows, limit)

    def sessions(self, column: str, limit: int) -> list[tuple[int, float]]:
        """(document id, BM25, higher is better) over "title" or "body" of whole session documents."""
        match = self._match("session", column)
        rows = match_words(self._connection, "session", match, limit)
        return _without_border(rows, limit)

    def counts(self) -> dict[str, int]:
        """Return each term of the query, and how many observations have it."""
        counts = self._counts("observation")
        return {term: counts.get(term, 0) for term in self._terms}

    def total(self) -> int:
        """Return how many observations there are."""
        return count_rows(self._connection, "observation")

    def _match(self, table: WordTable, column: str) -> str:
        terms = self._telling(table)
        return " OR ".join(f'{column} : "{self._terms[term]}"' for term in terms)

    def _telling(self, table: WordTable) -> list[str]:
        """Return the rarest terms, those that too many texts have only where every one is common."""
        counts, total = self._counts(table), count_rows(self._connection, table)
        rare = [term for term, documents in counts.items() if documents <= max(_COMMON * total, 5)]
        terms = rare or list(counts)
        rarest = set(nsmallest(_MOST_TERMS, terms, key=counts.__getitem__))
        return [term for term in terms if term in rarest]

    def _counts(self, table: WordTable) -> dict[str, int]:
        """Return those terms of the query that some text has, and how many have each."""
        counts = {term: count_term(self._connection, table, term) for term in self._terms}
        return {term: count for term, count in counts.items() if count}


def _without_border(rows: list[tuple[int, float]], limit: int) -> list[tuple[int, float]]:
    # Among equals at the border, which ones came is an accident of storage: none of them counts.
    border = rows[-1][1] if len(rows) == limit and rows[0][1] != rows[-1][1] else None
    return [row for row in rows if row[1] != border]


def _among(rows: list[tuple[int, float]], ids: set[int]) -> list[tuple[int, float]]:
    return [row for row in rows if row[0] in ids]


def terms_of(text: str) -> frozenset[str]:
    """Return the terms of a text as the index holds them, of its beginning where it is long."""
    return frozenset(list(_terms(text, 4 * _MOST_TERMS))[:_MOST_TERMS])


def is_longer(query: str) -> bool:
    """Tell whether a question has more words than are looked at."""
    return next(islice(split_query(query), LONGEST_QUESTION, None), None) is not None


def _terms(query: str, most: int) -> dict[str, str]:
    """Map the query's terms in the index to the words to look them up by, in the query's order.

    An FTS5 table with the same tokenizer returns the term of a word. A term is not looked up itself, since it
    would be stemmed again, and the stem of a stem may differ ("databases", "databas", "databa").
    most: words of the query that are read.
    """
    words = list(islice(split_query(query), most))
    terms = {term: words[number] for term, number in reversed(tokenize(words))}
    return dict(reversed(terms.items()))
