"""Queries on pair generators: which are in force or kept, and how far new ones have read."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from patina_hooks.specs.plugins import PairScopeKind


class StoredGenerator(NamedTuple):
    """A row of `generator`.

    scope_kind: what its scopes are. reached: the last scope (by id) that a new generator has read, None when
    it has read all.
    """

    id: int
    name: str
    version: int
    scope_kind: PairScopeKind
    evidence: str
    reached: int | None


def read_generators(connection: sqlite3.Connection) -> list[StoredGenerator]:
    """Return all stored generators, in order of their ids."""
    rows = connection.execute("SELECT id, name, version, reads, evidence, reached FROM generator ORDER BY id")
    return list(map(StoredGenerator._make, rows))


def read_generator_versions(connection: sqlite3.Connection) -> list[tuple[str, int]]:
    """Return the (name, version) of all stored generators, by name."""
    return connection.execute("SELECT name, version FROM generator ORDER BY name").fetchall()


def count_pairs_by_generator(connection: sqlite3.Connection) -> list[tuple[str, int]]:
    """Return (name, number of pairs) of all stored generators."""
    rows = connection.execute(
        "SELECT g.name, total(t.count) FROM generator g LEFT JOIN pair_total t ON t.generator_id = g.id"
        " GROUP BY g.id"
    )
    return [(name, int(count)) for name, count in rows]


def add_generators(connection: sqlite3.Connection, specs: Iterable[tuple[str, int, str, str]]) -> None:
    """Store generators that are not stored yet, as having read nothing.

    Args:
        connection: to the log, inside a transaction.
        specs: (name, version, kind of scope, evidence).
    """
    connection.executemany(
        "INSERT OR IGNORE INTO generator (name, version, reads, evidence, reached) VALUES (?, ?, ?, ?, 0)",
        specs,
    )


def update_generator(connection: sqlite3.Connection, generator: int, version: int, evidence: str) -> None:
    """Store a new version or evidence; another version has read nothing yet."""
    connection.execute(
        "UPDATE generator SET reached = iif(version = ?, reached, 0), version = ?, evidence = ? WHERE id = ?",
        (version, version, evidence, generator),
    )


def set_reached(connection: sqlite3.Connection, generators: Iterable[int], scope: int | None) -> None:
    """Store the last scope that these generators have read, None for all."""
    connection.executemany(
        "UPDATE generator SET reached = ? WHERE id = ?", [(scope, generator) for generator in generators]
    )


def lower_reached(connection: sqlite3.Connection, generator: int, scope: int) -> None:
    """Store that a generator has read no further than this scope."""
    connection.execute(
        "UPDATE generator SET reached = min(coalesce(reached, ?1), ?1) WHERE id = ?2", (scope, generator)
    )


def delete_generator(connection: sqlite3.Connection, generator: int) -> None:
    """Delete a generator with its pairs and their totals."""
    connection.execute("DELETE FROM pair WHERE generator_id = ?", (generator,))
    connection.execute("DELETE FROM pair_total WHERE generator_id = ?", (generator,))
    connection.execute("DELETE FROM generator WHERE id = ?", (generator,))
