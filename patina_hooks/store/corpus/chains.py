"""The graph of recorded commits as chains, to find reachable commits without a walk.

A chain is a line of commits, each a parent of the next; `commits.position` counts from 0 at its oldest. Of
every chain, a commit reaches all up to some position. `chain_edge` holds the parents that are not the commit
before in the same chain: none in a linear history, about two for each branch that is merged. A commit that
has no position yet has NULL for its chain.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import chain as joined
from typing import Final, NamedTuple

from patina_hooks.errors import LogDamaged
from patina_hooks.specs.values import Commit

_AT_ONCE: Final = 10_000
"""Commits that are in memory at once while they get positions."""


class _ChainPosition(NamedTuple):
    chain: int
    position: int


class _Waiting(NamedTuple):
    row: int
    parents: Sequence[str]


def pack_parents(commit: Commit) -> bytes:
    """Return the ids of a commit's parents as they are stored."""
    return bytes.fromhex("".join(commit.parents))


def update_parents(connection: sqlite3.Connection, commit: Commit) -> None:
    """Store the parents of a recorded commit; if they changed, every commit needs a new position.

    They change if the border of a shallow clone moves.
    """
    statement = "UPDATE commits SET parents = ?1 WHERE oid = ?2 AND parents != ?1"
    if connection.execute(statement, (pack_parents(commit), commit.oid)).rowcount:
        connection.execute("UPDATE commits SET chain = NULL, position = NULL WHERE chain IS NOT NULL")
        connection.execute("DELETE FROM chain_edge")


def delete_edges(connection: sqlite3.Connection, row: int) -> None:
    """Delete the edges of a commit that is about to be deleted with all its descendants."""
    connection.execute(
        "DELETE FROM chain_edge WHERE (chain, position) ="
        " (SELECT chain, position FROM commits WHERE id = ? AND chain IS NOT NULL)",
        (row,),
    )


def place_commits(connection: sqlite3.Connection) -> None:
    """Give commits their positions, except descendants of a commit that is not recorded.

    Raises:
        LogDamaged: a commit is its own ancestor.
    """
    most = _AT_ONCE
    # Newest commits are recorded first: in reverse order, most parents come before their children.
    while waiting := _read_waiting(connection, most):
        placed = _Placement(connection, waiting).run()
        if placed < len(waiting) and len(waiting) < most:
            return
        if 2 * placed < len(waiting):
            most *= 2


def read_reach(connection: sqlite3.Connection, commits: Iterable[str]) -> dict[int, int] | None:
    """Return what commits reach together.

    Returns:
        Chain -> the position up to which its commits are reached; None if a commit has no position.
    """
    reach: dict[int, int] = {}
    for oid in commits:
        place = _read_place(connection, oid)
        if place is None:
            return None
        reach[place.chain] = max(place.position, reach.get(place.chain, -1))
    # Parents get positions first: backwards, one pass reads all edges to a commit before those from it.
    edges = connection.execute(
        "SELECT chain, position, parent_chain, parent_position FROM chain_edge ORDER BY id DESC"
    )
    for chain, position, parent_chain, parent_position in edges:
        if reach.get(chain, -1) >= position and reach.get(parent_chain, -1) < parent_position:
            reach[parent_chain] = parent_position
    return reach


class _Placement:
    """One pass over commits without a position, parents first."""

    def __init__(self, connection: sqlite3.Connection, waiting: Mapping[str, _Waiting]) -> None:
        self._connection = connection
        self._waiting = waiting
        self._places: dict[str, _ChainPosition | None] = {}
        self._ends: dict[int, int] = {}
        (last,) = connection.execute("SELECT coalesce(max(chain), 0) FROM commits").fetchone()
        self._last_chain = int(last)

    def run(self) -> int:
        """Write the positions that can be computed; return their number."""
        graph = {oid: commit.parents for oid, commit in self._waiting.items()}
        try:
            order = TopologicalSorter(graph).static_order()
            placed = [oid for oid in order if oid in graph and self._place(oid)]
        except CycleError as error:
            raise LogDamaged(
                "the log is damaged: a commit is its own ancestor", hint="patina sync"
            ) from error
        places = [(*place, self._waiting[oid].row) for oid in placed if (place := self._places[oid])]
        self._connection.executemany("UPDATE commits SET chain = ?, position = ? WHERE id = ?", places)
        self._connection.executemany(
            "INSERT INTO chain_edge (chain, position, parent_chain, parent_position) VALUES (?, ?, ?, ?)",
            joined.from_iterable(self._edges(oid) for oid in placed),
        )
        return len(placed)

    def _place(self, oid: str) -> bool:
        """Place a commit after its parents: at the end of the chain of one, or in a new chain."""
        parents = [self._place_of(parent) for parent in self._waiting[oid].parents]
        place = None
        if None not in parents:
            ends = (parent for parent in parents if parent and self._end_of(parent.chain) == parent.position)
            end = next(ends, None)
            place = _ChainPosition(end.chain, end.position + 1) if end else self._begin_chain()
            self._ends[place.chain] = place.position
        self._places[oid] = place
        return place is not None

    def _begin_chain(self) -> _ChainPosition:
        self._last_chain += 1
        return _ChainPosition(self._last_chain, 0)

    def _place_of(self, oid: str) -> _ChainPosition | None:
        if oid not in self._places:
            self._places[oid] = _read_place(self._connection, oid)
        return self._places[oid]

    def _end_of(self, chain: int) -> int:
        """Return the position of the last commit of a chain."""
        if chain not in self._ends:
            statement = "SELECT max(position) FROM commits WHERE chain = ?"
            (self._ends[chain],) = self._connection.execute(statement, (chain,)).fetchone()
        return self._ends[chain]

    def _edges(self, oid: str) -> list[tuple[int, int, int, int]]:
        """Return the edges from a commit to its parents, except to the one before it in its chain."""
        place = self._places[oid]
        parents = [self._places[parent] for parent in self._waiting[oid].parents]
        return [
            (*place, *parent)
            for parent in parents
            if place and parent and parent != (place.chain, place.position - 1)
        ]


def _read_waiting(connection: sqlite3.Connection, most: int) -> dict[str, _Waiting]:
    statement = (  # position: NULL in all of these, named for the order of the index
        "SELECT oid, id, parents FROM commits WHERE chain IS NULL ORDER BY position DESC, id DESC LIMIT ?"
    )
    rows = connection.execute(statement, (most,))
    return {oid: _Waiting(row, _unpack_parents(parents, len(oid))) for oid, row, parents in rows}


def _unpack_parents(parents: bytes, width: int) -> list[str]:
    names = parents.hex()
    return [names[at : at + width] for at in range(0, len(names), width)]


def _read_place(connection: sqlite3.Connection, oid: str) -> _ChainPosition | None:
    statement = "SELECT chain, position FROM commits WHERE oid = ? AND chain IS NOT NULL"
    row = connection.execute(statement, (oid,)).fetchone()
    return _ChainPosition(*row) if row else None
