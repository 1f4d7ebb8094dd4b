"""The words' side of the index: BM25 by SQLite's FTS5 over observations, whole sessions and titles.

A word that a fifth of all texts say tells nothing and costs most (283 ms against 15 ms for common words on
100,000 texts): such words are left out while others remain. Of a long question the rarest words are kept.
"""

from __future__ import annotations

import sqlite3
from functools import cache
from heapq import nsmallest
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING, Final

from patina_hooks.text.words import words_to_match

if TYPE_CHECKING:
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

        def search(most: int, clause: str = "") -> list[tuple[int, float]]:
            return self._search("observation_words", match, most, clause)

        if allowed is None:
            return _without_border(search(limit), limit)
        rows = allowed.best(
            search,
            lambda rows: _among(rows, allowed.among(number for number, _ in rows)),
            # The plus: FTS5 would run the whole MATCH once for each rowid that it is handed.
            lambda: search(limit, " AND +rowid IN (SELECT id FROM temp.allowed)"),
            limit,
        )
        return _without_border(rows, limit)

    def sessions(self, column: str, limit: int) -> list[tuple[int, float]]:
        """(document id, BM25, higher is better) over "title" or "body" of whole session documents."""
        rows = self._search("session_words", self._match("session", column), limit)
        return _without_border(rows, limit)

    def counts(self) -> dict[str, int]:
        """Return each term of the query, and how many observations have it."""
        counts = self._counts("observation_terms")
        return {term: counts.get(term, 0) for term in self._terms}

    def total(self) -> int:
        """Return how many observations there are."""
        return self._total("observation_words")

    def _match(self, what: str, column: str) -> str:
        terms = self._telling(f"{what}_terms", f"{what}_words")
        return " OR ".join(f'{column} : "{self._terms[term]}"' for term in terms)

    def _search(self, table: str, match: str, limit: int, clause: str = "") -> list[tuple[int, float]]:
        if not match:
            return []
        return self._connection.execute(
            f"SELECT rowid, -bm25({table}) FROM {table} WHERE {table} MATCH ?{clause}"
            " ORDER BY 2 DESC, rowid LIMIT ?",
            (match, limit),
        ).fetchall()

    def _telling(self, vocabulary: str, table: str) -> list[str]:
        """The rarest terms, those that too many texts have only where every one is common."""
        counts, total = self._counts(vocabulary), self._total(table)
        rare = [term for term, documents in counts.items() if documents <= max(_COMMON * total, 5)]
        terms = rare or list(counts)
        rarest = set(nsmallest(_MOST_TERMS, terms, key=counts.__getitem__))
        return [term for term in terms if term in rarest]

    def _counts(self, vocabulary: str) -> dict[str, int]:
        """Return those terms of the query that some text has, and how many have each."""
        statement = f"SELECT doc FROM {vocabulary} WHERE term = ?"
        counts = {}
        for term in self._terms:
            row = self._connection.execute(statement, (term,)).fetchone()
            if row:
                counts[term] = int(row[0])
        return counts

    def _total(self, table: str) -> int:
        # FTS5 keeps one small row for each text: counted by pages, 0.01 ms where `observation` takes 8.
        return int(self._connection.execute(f"SELECT count(*) FROM {table}_docsize").fetchone()[0])


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
    return next(islice(words_to_match(query), LONGEST_QUESTION, None), None) is not None


def _terms(query: str, most: int) -> dict[str, str]:
    """The query's terms as the index holds them -> the words to ask for them by, in the query's order.

    An FTS5 table of the same tokenizer says what a word's term is. A term itself is no word to ask by: what
    is asked for is stemmed again, and the stem of a stem may be another ("databases", "databas", "databa").
    most: words of the query that are read.
    """
    words = list(islice(words_to_match(query), most))
    with _tokenizing:
        connection = _tokenizer()
        connection.execute("DELETE FROM query")
        connection.executemany("INSERT INTO query (rowid, words) VALUES (?, ?)", enumerate(words))
        rows = connection.execute("SELECT term, doc FROM term ORDER BY doc, offset").fetchall()
    terms = {term: words[number] for term, number in reversed(rows)}
    return dict(reversed(terms.items()))


_tokenizing = Lock()


@cache
def _tokenizer() -> sqlite3.Connection:
    """An empty index to put words through; a tenth of a question's time to make."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.execute("CREATE VIRTUAL TABLE query USING fts5 (words, tokenize = 'porter unicode61')")
    connection.execute("CREATE VIRTUAL TABLE term USING fts5vocab (query, instance)")
    return connection
