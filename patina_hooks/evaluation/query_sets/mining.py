"""Query sets: queries with known answers, and the candidates for these.

A set has units (sessions or files), which are ranked, and passages (observations) of units. Each query has
its own visible part of both: text that would reveal the answer is hidden and, for files, everything later.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from hashlib import blake2b
from heapq import nsmallest
from typing import TYPE_CHECKING, Final

import numpy as np

from patina_hooks.evaluation.history import PastPassage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = NDArray[np.intp]
    Bits = NDArray[np.uint8]
    Flags = NDArray[np.bool_]
    Counts = NDArray[np.int64]

MOST_QUERIES: Final = 300
SHORTEST: Final = 12
"""The fewest characters of a query, and of a text that identifies its source inside another text."""


@dataclass(frozen=True, slots=True)
class QueryFilter:
    """Selects queries of a set: at most `most`, written after a moment (seconds since 1970)."""

    most: int = MOST_QUERIES
    after: int | None = None

    def takes(self, moment: int) -> bool:
        """Return whether a query of this moment is selected."""
        return self.after is None or moment > self.after


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """The units that may answer a query, as bits: each query stores its own."""

    bits: Bits
    units: int

    @classmethod
    def of(cls, flags: Flags) -> Candidates:
        return cls(np.packbits(flags), len(flags))

    @property
    def flags(self) -> Flags:
        """[units]."""
        return np.unpackbits(self.bits, count=self.units).view(np.bool_)


@dataclass(frozen=True, slots=True, eq=False)
class MinedQuery:
    """One query with its known answers.

    id: the same in every run.
    relevant: the units that answer it.
    cluster: its session or, outside of sessions, its day; queries of one cluster are not independent.
    moment: when it was written, seconds since 1970.
    candidates: which units may answer, None for all.
    visible_passages, touched: how many passages and touches are visible to it, counted from the first.
    masked: passages among them that are hidden from it; untitled: units whose title is hidden.
    """

    id: str
    text: str
    relevant: frozenset[int]
    cluster: str
    moment: int
    visible_passages: int
    touched: int
    candidates: Candidates | None = None
    masked: frozenset[int] = frozenset()
    untitled: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class QuerySet:
    """Queries, oldest first, with their units (by name, ascending) and passages.

    titles: of the units, "" if hidden; of files, their paths.
    link_pieces, link_units: [l] which passage belongs to which unit, ordered by unit.
    touches: [t] the unit of each commit that touched one, in order, for popularity and recency.
    rolling: whether only earlier passages are visible to a query.
    """

    name: str
    units: tuple[str, ...]
    titles: tuple[str, ...]
    pieces: tuple[PastPassage, ...]
    link_pieces: Rows
    link_units: Rows
    touches: Rows
    queries: tuple[MinedQuery, ...]
    rolling: bool = False

    def __len__(self) -> int:
        return len(self.queries)

    def popularity(self, query: MinedQuery) -> Counts:
        """Count how often each unit was touched, [units]."""
        counts: Counts = np.bincount(self.touches[: query.touched], minlength=len(self.units))
        return counts

    def recency(self, query: MinedQuery) -> Counts:
        """Rank units [units] by their last touch before a rolling query; 0 for never touched."""
        order = np.zeros(len(self.units), np.int64)
        touches = self.touches[: query.touched]
        np.maximum.at(order, touches, np.arange(1, len(touches) + 1))
        return order

    def hidden(self, query: MinedQuery) -> Flags:
        """Return which passages are hidden from a query, [passages]."""
        flags = np.zeros(len(self.pieces), np.bool_)
        flags[query.visible_passages :] = True
        flags[list(query.masked)] = True
        return flags


def select_queries(queries: Iterable[MinedQuery], query_filter: QueryFilter) -> tuple[MinedQuery, ...]:
    """Select queries by their ids, which are hashes, oldest first."""
    matching = (query for query in queries if query_filter.takes(query.moment))
    selected = nsmallest(query_filter.most, matching, key=lambda query: query.id)  # keeps no more in memory
    return tuple(sorted(selected, key=lambda query: (query.moment, query.id)))


def query_id(*parts: str) -> str:
    """Return 12 hex digits that identify a query."""
    return blake2b("\0".join(parts).encode("utf-8", "replace"), digest_size=6).hexdigest()


def build_links(links: Iterable[Collection[int]]) -> tuple[Rows, Rows]:
    """Build (passages, units), ordered by unit, from the units of each passage."""
    rows = sorted((unit, piece) for piece, units in enumerate(links) for unit in units)
    pairs = np.array(rows, np.intp).reshape(-1, 2)
    return pairs[:, 1], pairs[:, 0]
