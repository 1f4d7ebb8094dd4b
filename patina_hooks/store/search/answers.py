"""Queries that turn observations into answers: their result groups, texts and locations."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from patina_hooks.specs.retrieval import Group, VisibleObservation
from patina_hooks.specs.values import Observation
from patina_hooks.store.corpus.observations import OBSERVATION_COLUMNS, build_observation
from patina_hooks.store.corpus.sessions import SESSION_OF_COMMIT
from patina_hooks.store.search.filters import RowFilter

_OBSERVATIONS_OF_A_TEXT: Final = 50


class ObservationRow(NamedTuple):
    """One live observation. key: the hash of its content, which decides ties.

    A question reads hundreds, and a tuple takes a tenth of the time of a dataclass.
    """

    number: int
    key: bytes
    weight: float
    source: int


class LocatedObservation(NamedTuple):
    """An observation with its document. path: "" for a commit's message; draft: 1 or 0."""

    observation: Observation
    oid: str
    path: str
    draft: int
    title: str
    date: int | None


class RepeatedText(NamedTuple):
    """The repeatable parts of an observation: its text, its commit's subject, and the branch of a merge.

    merge, committed: None outside of commits.
    """

    number: int
    text: str
    oid: str
    merge: int | None
    committed: int | None
    subject: str | None
    merged: str | None


def _group_of(oid: str, path: str, session: str | None) -> Group:
    """Return the result group of a document: its session, else the commit or the file."""
    if session:
        return ("session", session)
    return ("document", path) if path else ("commit", oid)


def read_rows(connection: sqlite3.Connection, numbers: Iterable[int]) -> list[ObservationRow]:
    """Return these observations."""
    rows = connection.execute(
        "SELECT id, key, weight, source_id FROM observation WHERE id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(numbers)),),
    )
    return list(map(ObservationRow._make, rows))


def read_observation_texts(connection: sqlite3.Connection, numbers: Iterable[int]) -> dict[int, str]:
    """Return the texts of these observations."""
    rows = connection.execute(
        "SELECT id, text FROM observation WHERE id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(numbers)),),
    )
    return dict(rows.fetchall())


def rows_of_text(connection: sqlite3.Connection, text: bytes, only: RowFilter) -> list[ObservationRow]:
    """Return the observations with a text, the first fifty by key."""
    statement = (
        "SELECT o.id, o.key, o.weight, o.source_id FROM observation o"
        f" WHERE o.text_key = ? AND o.live{only.sql} ORDER BY o.key LIMIT {_OBSERVATIONS_OF_A_TEXT}"
    )
    return list(map(ObservationRow._make, connection.execute(statement, (text, *only.values))))


def visible_observations(connection: sqlite3.Connection, only: RowFilter) -> Iterator[VisibleObservation]:
    """Return every live observation that passes."""
    statement = f"SELECT o.id, o.kind, o.text FROM observation o WHERE o.live{only.sql} ORDER BY o.id"
    return map(VisibleObservation._make, connection.execute(statement, only.values))


def groups_of_sources(connection: sqlite3.Connection, sources: Iterable[int]) -> dict[int, Group]:
    """Return the group of each source at its first location: those on refs before drafts, then by path."""
    rows = connection.execute(
        f"SELECT s.id, d.oid, d.path, coalesce(d.session, {SESSION_OF_COMMIT})"
        " FROM source s JOIN document d ON d.oid = s.oid AND d.read_as = s.read_as"
        " LEFT JOIN commits c ON c.oid = d.oid"
        " WHERE s.id IN (SELECT value FROM json_each(?)) ORDER BY d.work_tree DESC, d.path DESC",
        (json.dumps(list(sources)),),
    )
    return {source: _group_of(*location) for source, *location in rows}


def groups_of_documents(connection: sqlite3.Connection, documents: Iterable[int]) -> dict[int, Group]:
    """Return the group of each session document."""
    rows = connection.execute(
        "SELECT id, path, session FROM document WHERE id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(documents)),),
    )
    return {number: _group_of("", path, session) for number, path, session in rows}


def first_row(connection: sqlite3.Connection, group: Group, only: RowFilter) -> int | None:
    """Return the observation with which a group begins, of those that pass; None for none."""
    column = {"session": "session", "commit": "oid"}.get(group[0], "path")
    has_path = "=" if column == "oid" else "!="
    row = connection.execute(
        "SELECT o.id FROM document d CROSS JOIN source s ON s.oid = d.oid AND s.read_as = d.read_as"
        " CROSS JOIN observation o ON o.source_id = s.id"
        f" WHERE d.{column} = ? AND d.path {has_path} '' AND o.live{only.sql}"
        " ORDER BY o.kind != 'goal', o.line, o.key LIMIT 1",
        (group[1], *only.values),
    ).fetchone()
    return int(row[0]) if row else None


def read_located_observation(connection: sqlite3.Connection, number: int) -> LocatedObservation:
    """Return an observation at its first location: those on refs before drafts, then by path."""
    row = connection.execute(
        f"SELECT d.oid, d.path, d.work_tree != '', d.title, d.dated, {OBSERVATION_COLUMNS}"
        " FROM observation o JOIN source s ON s.id = o.source_id JOIN document d ON d.oid = s.oid"
        " AND d.read_as = s.read_as"
        " WHERE o.id = ? ORDER BY d.work_tree, d.path LIMIT 1",
        (number,),
    ).fetchone()
    return LocatedObservation(build_observation(*row[5:]), *row[:5])


def read_session_title(connection: sqlite3.Connection, session: str | None) -> tuple[str, int | None]:
    """Return (title, start) of a session, ("", None) for none."""
    row = connection.execute("SELECT title, started FROM session WHERE id = ?", (session,)).fetchone()
    return row or ("", None)


def read_repeated_texts(connection: sqlite3.Connection, numbers: Iterable[int]) -> list[RepeatedText]:
    """Return the repeatable parts of these observations."""
    rows = connection.execute(
        "SELECT o.id, o.text, s.oid, c.merge, c.committed, CASE WHEN c.oid IS NOT NULL THEN s.title END,"
        " CASE WHEN c.merge OR s.title LIKE 'Merge %' THEN (SELECT b.text FROM observation b"
        " WHERE b.source_id = s.id AND b.kind = 'body' ORDER BY b.line, b.key LIMIT 1) END"
        " FROM observation o JOIN source s ON s.id = o.source_id LEFT JOIN commits c ON c.oid = s.oid"
        " WHERE o.id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(numbers)),),
    )
    return list(map(RepeatedText._make, rows))


# --- remarks ------------------------------------------------------------------------------------


def count_texts(connection: sqlite3.Connection) -> tuple[int, int]:
    """Return how many texts are live, and how many of those have no vector."""
    total, pending = connection.execute(
        "SELECT count(*), coalesce(sum(indexed = 0), 0) FROM text WHERE live > 0"
    ).fetchone()
    return int(total), int(pending)


def sample_text_keys(connection: sqlite3.Connection, most: int) -> list[bytes]:
    """Return the smallest keys of texts with a vector."""
    rows = connection.execute("SELECT key FROM text WHERE live > 0 AND indexed ORDER BY key LIMIT ?", (most,))
    return [row[0] for row in rows]


def read_text_location(connection: sqlite3.Connection, text: bytes) -> tuple[str, str, int] | None:
    """Return (object id, path, line) of the first location of a text, None for none."""
    location: tuple[str, str, int] | None = connection.execute(
        """
    SELECT DISTINCT d.oid, d.path, o.line FROM observation o
    JOIN source s ON s.id = o.source_id JOIN document d ON d.oid = s.oid AND d.read_as = s.read_as
    WHERE o.text_key = ? AND o.live ORDER BY d.work_tree, d.path, d.oid, o.line LIMIT 1
""",
        (text,),
    ).fetchone()
    return location
