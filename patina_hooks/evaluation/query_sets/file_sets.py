"""Queries whose answer is a file: a commit's message, answered by the paths that it changed.

Rolling: only commits of an earlier second and the files of that time are visible to a query, so that neither
the commit itself nor anything later reveals its files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from itertools import groupby
from typing import TYPE_CHECKING, Final

import numpy as np

from patina_hooks.evaluation.history import History, PastCommit, PastPassage
from patina_hooks.evaluation.query_sets.mining import (
    SHORTEST,
    Candidates,
    MinedQuery,
    QueryFilter,
    QuerySet,
    build_links,
    query_id,
    select_queries,
)

if TYPE_CHECKING:
    from patina_hooks.evaluation.query_sets.mining import Flags

MOST_PATHS: Final = 50
HOTTEST: Final = 10
_USUAL: Final = QueryFilter()


def mine_commit_files(history: History, query_filter: QueryFilter = _USUAL) -> QuerySet:
    """Mine queries about all files."""
    return _Walk(history, "commit_files", query_filter).query_set()


def mine_commit_files_cold(history: History, query_filter: QueryFilter = _USUAL) -> QuerySet:
    """Mine queries without the ten files that most commits touch, which are easily guessed."""
    counts = Counter(
        path for commit in history.commits if has_informative_message(commit) for path in commit.paths
    )
    hottest = sorted(counts, key=lambda path: (-counts[path], path))[:HOTTEST]
    return _Walk(history, "commit_files_cold", query_filter, frozenset(hottest)).query_set()


def has_informative_message(commit: PastCommit) -> bool:
    """Return whether a commit's message describes its paths: not a merge, and at most fifty paths."""
    return not commit.bookkeeping and len(commit.paths) <= MOST_PATHS


@dataclass(slots=True)
class _Walk:
    """Walks through commits, oldest first, with the state at each."""

    history: History
    name: str
    query_filter: QueryFilter
    excluded: Collection[str] = ()
    units: dict[str, int] = field(default_factory=dict)
    pieces: list[PastPassage] = field(default_factory=list)
    links: list[list[int]] = field(default_factory=list)
    touches: list[int] = field(default_factory=list)
    present: Flags = field(init=False)

    def query_set(self) -> QuerySet:
        paths = {path for commit in self.history.commits for path in commit.paths}.difference(self.excluded)
        self.units = {path: unit for unit, path in enumerate(sorted(paths))}
        self.present = np.zeros(len(self.units), np.bool_)
        queries = select_queries(self._queries(), self.query_filter)
        links = build_links(self.links)
        return QuerySet(
            name=self.name,
            units=tuple(self.units),
            titles=tuple(self.units),
            pieces=tuple(self.pieces),
            link_pieces=links[0],
            link_units=links[1],
            touches=np.array(self.touches, np.intp),
            queries=queries,
            rolling=True,
        )

    def _queries(self) -> Iterator[MinedQuery]:
        for _, second in groupby(self.history.commits, key=lambda commit: commit.committed):
            commits = list(second)
            yield from (query for commit in commits if (query := self._query(commit)))
            for commit in commits:
                self._learn(commit)

    def _query(self, commit: PastCommit) -> MinedQuery | None:
        if (
            not self.query_filter.takes(commit.committed)
            or not has_informative_message(commit)
            or len(commit.message) < SHORTEST
        ):
            return None
        touched = [self.units[path] for path in commit.paths if path in self.units]
        relevant = frozenset(unit for unit in touched if self.present[unit])
        if not relevant:
            return None
        return MinedQuery(
            id=query_id(self.name, commit.oid),
            text=commit.message,
            relevant=relevant,
            cluster=commit.session or _day(commit.committed),
            moment=commit.committed,
            visible_passages=len(self.pieces),
            touched=len(self.touches),
            candidates=Candidates.of(self.present),
        )

    def _learn(self, commit: PastCommit) -> None:
        touched = {
            self.units[path]: is_present for path, is_present in commit.paths.items() if path in self.units
        }
        self.present[list(touched)] = list(touched.values())
        if has_informative_message(commit):
            self.touches += sorted(touched)
            self.pieces += commit.pieces
            self.links += [sorted(touched) for _ in commit.pieces]


def _day(moment: int) -> str:
    return datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%d")
