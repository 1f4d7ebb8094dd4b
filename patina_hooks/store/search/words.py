"""Queries on the tables of words: observations, and whole session documents with their titles.

Tables in memory have the words that a question of an evaluation may see.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Literal

from patina_hooks.store.database.schema import WORD_TABLES

WordTable = Literal["observation", "session"]


def match_words(
    connection: sqlite3.Connection, table: WordTable, match: str, limit: int, *, allowed: bool = False
) -> list[tuple[int, float]]:
    """Return (row, BM25, higher is better) of the best rows that match, best first.

    Args:
        connection: of the log, or of tables in memory.
        table: observations, or session documents.
        match: an FTS5 expression, "" for none.
        limit: how many rows at most.
        allowed: only rows of `temp.allowed`.
    """
    if not match:
        return []
    # The plus: FTS5 would run the whole MATCH once for each rowid that it is handed.
    clause = " AND +rowid IN (SELECT id FROM temp.allowed)" if allowed else ""
    words = f"{table}_words"
    return connection.execute(
        f"SELECT rowid, -bm25({words}) FROM {words} WHERE {words} MATCH ?{clause}"
        " ORDER BY 2 DESC, rowid LIMIT ?",
        (match, limit),
    ).fetchall()


def count_term(connection: sqlite3.Connection, table: WordTable, term: str) -> int:
    """Return how many rows have a term."""
    row = connection.execute(f"SELECT doc FROM {table}_terms WHERE term = ?", (term,)).fetchone()
    return int(row[0]) if row else 0


def count_rows(connection: sqlite3.Connection, table: WordTable) -> int:
    """Return how many rows a table of words has."""
    # FTS5 keeps one small row for each text: counted by pages, 0.01 ms where `observation` takes 8.
    return int(connection.execute(f"SELECT count(*) FROM {table}_words_docsize").fetchone()[0])


_tokenizing = Lock()


@cache
def _tokenizer() -> sqlite3.Connection:
    """Return an empty index that tokenizes words; creating it takes a tenth of a question's time."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.execute("CREATE VIRTUAL TABLE query USING fts5 (words, tokenize = 'porter unicode61')")
    connection.execute("CREATE VIRTUAL TABLE term USING fts5vocab (query, instance)")
    return connection


def tokenize(words: Sequence[str]) -> list[tuple[str, int]]:
    """Return (term as the index holds it, place of its word), in the order of the words."""
    with _tokenizing:
        connection = _tokenizer()
        connection.execute("DELETE FROM query")
        connection.executemany("INSERT INTO query (rowid, words) VALUES (?, ?)", enumerate(words))
        return connection.execute("SELECT term, doc FROM term ORDER BY doc, offset").fetchall()


# --- tables in memory ---------------------------------------------------------------------------


def open_word_tables() -> sqlite3.Connection:
    """Make empty tables of words in memory, like those of the log."""
    # A plugin's retriever queries in a thread, while this one waits.
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    for statement in WORD_TABLES.values():
        connection.execute(statement)
    return connection


@contextmanager
def rolled_back(connection: sqlite3.Connection) -> Iterator[None]:
    """Roll back the changes within the block at its end."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")


def add_observation_words(connection: sqlite3.Connection, rows: Iterable[tuple[int, str]]) -> None:
    """Add (row, words)."""
    connection.executemany("INSERT INTO observation_words (rowid, words) VALUES (?, ?)", rows)


def remove_observation_words(connection: sqlite3.Connection, rows: Iterable[tuple[int, str]]) -> None:
    """Remove (row, words) that were added."""
    connection.executemany(
        "INSERT INTO observation_words (observation_words, rowid, words) VALUES ('delete', ?, ?)", rows
    )


def add_document_words(connection: sqlite3.Connection, row: tuple[int, str, str]) -> None:
    """Add (row, words of the title, words of the body)."""
    connection.execute("INSERT INTO session_words (rowid, title, body) VALUES (?, ?, ?)", row)


def remove_document_words(connection: sqlite3.Connection, row: tuple[int, str, str]) -> None:
    """Remove (row, words of the title, words of the body) that were added."""
    connection.execute(
        "INSERT INTO session_words (session_words, rowid, title, body) VALUES ('delete', ?, ?, ?)", row
    )
