"""Reasons why a question has no hit, so that an empty answer is not taken for a fact of the history."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from patina_hooks.search.filters.paths import is_recorded, near_paths
from patina_hooks.search.retrieval.lexical import LONGEST_QUESTION, is_longer
from patina_hooks.store.search.answers import count_texts
from patina_hooks.text.display import format_count
from patina_hooks.text.words import split_query

if TYPE_CHECKING:
    from patina_hooks.search.query import Query

NO_WORDS: Final = "the question has no words, only punctuation"
CUT: Final = f"only the first {LONGEST_QUESTION:,} words of the question were looked up"
COUNTED: Final = 50
"""Hits without a filter that are counted at most."""

_FILTERS: Final[Mapping[str, tuple[str, Any]]] = {
    "kinds": ("--kind", ()),
    "fields": ("--field", ()),
    "session": ("--session", None),
    "since": ("--since", None),
    "until": ("--until", None),
    "ref": ("--ref", None),
    "path": ("--path", None),
    "filters": ("--filter", ()),
}
"""Field of a query -> its option, and its value without a filter."""


@dataclass(frozen=True, slots=True)
class IndexedTexts:
    """The texts that a question could have found. pending: those without a vector.

    unknown_path: the path of the query where no commit touched it, with recorded ones like it.
    """

    total: int
    pending: int
    unknown_path: str

    @classmethod
    def read(cls, connection: sqlite3.Connection, query: Query) -> IndexedTexts:
        """Read what is needed to explain an answer without hits."""
        total, pending = count_texts(connection)
        unknown = ""
        if query.path and not is_recorded(connection, query.path):
            near = ", ".join(near_paths(connection, query.path))
            unknown = f"no recorded commit touched {query.path!r}" + (f"; similar: {near}" if near else "")
        return cls(total, pending, unknown)


def has_words(text: str) -> bool:
    """Tell whether a question has a word to look up."""
    return next(split_query(text), None) is not None


def remark_on(text: str) -> str:
    """Return what of a question was not looked up, "" where all of it was."""
    if not has_words(text):
        return NO_WORDS
    return CUT if is_longer(text) else ""


def explain_no_hits(query: Query, texts: IndexedTexts, count_hits: Callable[[Query], int]) -> str:
    """Return why a query has no hit.

    Args:
        query: the question with its filters, as it was answered.
        texts: what is indexed.
        count_hits: how many hits another query has.
    """
    if not texts.total:
        return "nothing is indexed yet: no commit message or session document was recorded"
    if texts.unknown_path:
        return texts.unknown_path
    filters = {
        field: empty for field, (_, empty) in _FILTERS.items() if getattr(query, field) not in (empty, None)
    }
    if filters and (excluded := _explain_filters(query, filters, count_hits)):
        return f"the filters exclude all hits: {excluded}"
    pending = f"{format_count(texts.pending, 'text')} without a vector" if texts.pending else ""
    if query.mode == "vector":
        return pending or "no text has a vector"
    if not has_words(query.text):
        return NO_WORDS
    return "; ".join(filter(None, ["no indexed text has a word of the question", pending]))


def _explain_filters(query: Query, filters: Mapping[str, Any], count_hits: Callable[[Query], int]) -> str:
    """Return how many hits there are without each filter, or without all; "" where there are none."""
    counted = replace(query, limit=COUNTED)
    without = {
        _FILTERS[field][0]: count_hits(replace(counted, **{field: empty})) for field, empty in filters.items()
    }
    if not any(without.values()):
        without = {"filters": count_hits(replace(counted, **filters))}
    return ", ".join(f"{_number(hits)} without {option}" for option, hits in without.items() if hits)


def _number(hits: int) -> str:
    return f"{hits} or more hits" if hits >= COUNTED else format_count(hits, "hit")
