"""Query sets: questions with known answers, and what may answer them.

A set has units (sessions, or files), which compete for the places of an answer, and pieces (observations),
which speak for units. A question sees its own part of both: what would tell it the answer is hidden from
it, and for files also everything that is later.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from hashlib import blake2b
from heapq import nsmallest
from typing import TYPE_CHECKING, Final

import numpy as np

from patina_hooks.evaluation.history import Passage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = NDArray[np.intp]
    Bits = NDArray[np.uint8]
    Flags = NDArray[np.bool_]
    Counts = NDArray[np.int64]

MOST_QUERIES: Final = 300
SHORTEST: Final = 12
"""Characters below which a text asks nothing, and is no sign of its source where it occurs in another."""


@dataclass(frozen=True, slots=True)
class QueryFilter:
    """Which questions are wanted of a set: so many at most, asked after a moment (seconds since 1970)."""

    most: int = MOST_QUERIES
    after: int | None = None

    def takes(self, moment: int) -> bool:
        """Whether a question of this moment is wanted."""
        return self.after is None or moment > self.after


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Which of a set's units may answer, in an eighth of the memory of flags: each question holds its own."""

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
    """One question. id: the same wherever and whenever it is mined.

    relevant: the units that answer it. cluster: the session that it is from (or, outside of sessions, the
    day): questions of one cluster are not independent. moment: seconds since 1970, of what asks.
    candidates: which units may answer, None for all. visible_passages, touched: how many of the pieces and touches
    it sees, counted from the first. masked: pieces that are hidden from it all the same; untitled: units
    whose title is.
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
    """Questions, oldest first, over units (by name, ascending) and pieces.

    link_pieces, link_units: [l] which piece speaks for which unit, ordered by unit.
    touches: [t] unit of each thing that touched one, in order: the most popular unit is the most touched, and
    where questions are rolling, the most recent one the last touched.
    titles: of the units, "" where they are hidden; for files their path: the words of the unit itself.
    rolling: whether a question sees only what was before it.
    """

    name: str
    units: tuple[str, ...]
    titles: tuple[str, ...]
    pieces: tuple[Passage, ...]
    link_pieces: Rows
    link_units: Rows
    touches: Rows
    queries: tuple[MinedQuery, ...]
    rolling: bool = False

    def __len__(self) -> int:
        return len(self.queries)

    def popularity(self, query: MinedQuery) -> Counts:
        """How often each unit was touched, [units]."""
        counts: Counts = np.bincount(self.touches[: query.touched], minlength=len(self.units))
        return counts

    def recency(self, query: MinedQuery) -> Counts:
        """A number for each unit that is higher the later it was touched before a rolling question was asked,
        0 for never, [units]."""
        order = np.zeros(len(self.units), np.int64)
        touches = self.touches[: query.touched]
        np.maximum.at(order, touches, np.arange(1, len(touches) + 1))
        return order

    def hidden(self, query: MinedQuery) -> Flags:
        """Which pieces a question does not see, [pieces]."""
        flags = np.zeros(len(self.pieces), np.bool_)
        flags[query.visible_passages :] = True
        flags[list(query.masked)] = True
        return flags


def select_queries(queries: Iterable[MinedQuery], query_filter: QueryFilter) -> tuple[MinedQuery, ...]:
    """Those that are wanted, by their ids (hashes: no choice of ours), oldest first."""
    matching = (query for query in queries if query_filter.takes(query.moment))
    selected = nsmallest(
        query_filter.most, matching, key=lambda query: query.id
    )  # holds no more than that at a time
    return tuple(sorted(selected, key=lambda query: (query.moment, query.id)))


def query_id(*parts: str) -> str:
    """12 hex digits of what makes a question this one."""
    return blake2b("\0".join(parts).encode("utf-8", "replace"), digest_size=6).hexdigest()


def build_links(links: Iterable[Collection[int]]) -> tuple[Rows, Rows]:
    """(pieces, units), ordered by unit, of the units of each piece."""
    rows = sorted((unit, piece) for piece, units in enumerate(links) for unit in units)
    pairs = np.array(rows, np.intp).reshape(-1, 2)
    return pairs[:, 1], pairs[:, 0]
