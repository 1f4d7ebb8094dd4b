"""Queries on observations: what extractors made of objects, which of it is live, and its words.

`source` and `observation` are a cache by object, what it is read as, extractor and version. `live` marks the
observations of documents that exist now; their words are in the index of words, and `text` counts how many of
them have a text.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from patina_hooks.specs.values import Observation
from patina_hooks.text.words import prepare_index_text

FIELDS: Final = "(SELECT json_group_object(f.name, f.value) FROM field f WHERE f.observation_id = o.id)"
"""SQL for the fields of the row `o` of `observation`, as JSON."""


class StoredObservation(NamedTuple):
    """A row of `observation`. key: of its content; text_key: under which its embedding is cached."""

    id: int
    key: bytes
    text_key: bytes
    observation: Observation


class ExtractedObject(NamedTuple):
    """A row of `source`: what one extractor made of one object.

    tag: of extractor and version. skipped: the reason if it could not be read; unread: lines that were left
    out.
    """

    oid: str
    read_as: str
    tag: str
    title: str
    fields: Mapping[str, str]
    skipped: str
    unread: str


class NewObservation(NamedTuple):
    """An observation to be stored."""

    key: bytes
    text_key: bytes
    observation: Observation


def build_observation(
    kind: str, text: str, line: int, section: str, weight: float, name: str, last: int, fields: str
) -> Observation:
    """Build an observation from its columns. fields: JSON, see `FIELDS`."""
    return Observation(kind, text, line, section, weight, name, last, json.loads(fields))


OBSERVATION_COLUMNS: Final = f"o.kind, o.text, o.line, o.section, o.weight, o.name, o.last_line, {FIELDS}"
"""Of the row `o` of `observation`: the arguments of `build_observation`."""
_STORED: Final = f"SELECT o.id, o.key, o.text_key, {OBSERVATION_COLUMNS}"
_OF_OBJECT: Final = "FROM source s JOIN observation o ON o.source_id = s.id WHERE s.oid = ? AND s.read_as = ?"


# --- what extractors made ---------------------------------------------------------------------------


def add_extracted(
    connection: sqlite3.Connection, extracted: ExtractedObject, observations: Iterable[NewObservation]
) -> None:
    """Store what an extractor made of an object; none of it is live yet."""
    source = connection.execute(
        "INSERT INTO source (oid, read_as, extractor, title, fields, skipped, unread)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            extracted.oid, extracted.read_as, extracted.tag, extracted.title,
            json.dumps(dict(extracted.fields)), extracted.skipped, extracted.unread,
        ),
    ).lastrowid  # fmt: skip
    for key, text_key, o in observations:
        row = connection.execute(
            "INSERT INTO observation (source_id, key, kind, text, line, section, weight, text_key, name,"
            " last_line) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (source, key, o.kind, o.text, o.line, o.section, o.weight, text_key, o.name, o.end),
        ).lastrowid
        if o.fields:
            connection.executemany(
                "INSERT INTO field VALUES (?, ?, ?)", [(row, *field) for field in o.fields.items()]
            )


def count_extracted(connection: sqlite3.Connection, oid: str, read_as: str, tags: Collection[str]) -> int:
    """Return how many of these extractors have read an object."""
    statement = f"SELECT count(*) FROM source WHERE oid = ? AND read_as = ? AND extractor IN ({_marks(tags)})"
    return int(connection.execute(statement, (oid, read_as, *tags)).fetchone()[0])


def read_extractor_tags(connection: sqlite3.Connection) -> set[str]:
    """Return the tags of all stored results; reads the whole index of `source`."""
    return {row[0] for row in connection.execute("SELECT DISTINCT extractor FROM source")}


def delete_extractor_tags(connection: sqlite3.Connection, tags: Collection[str]) -> None:
    """Delete the results that are stored under these tags."""
    connection.execute(f"DELETE FROM source WHERE extractor IN ({_marks(tags)})", tuple(tags))


def delete_skipped(connection: sqlite3.Connection, oids: Iterable[str]) -> None:
    """Delete the results of objects that could not be read, so that they are read again."""
    connection.executemany("DELETE FROM source WHERE oid = ? AND skipped != ''", [(oid,) for oid in oids])


def delete_failed(
    connection: sqlite3.Connection, oids: Iterable[str], tags: Sequence[str], failed: str
) -> None:
    """Delete the results of objects on which these extractors failed.

    failed: the stored reason, as LIKE reads it.
    """
    connection.executemany(
        "DELETE FROM source WHERE oid = ? AND skipped != '' AND skipped LIKE ?"
        f" AND extractor IN ({_marks(tags)})",
        [(oid, failed, *tags) for oid in oids],
    )


def read_skipped(connection: sqlite3.Connection, reason: str) -> list[str]:
    """Return the objects that could not be read for a reason."""
    rows = connection.execute(
        "SELECT DISTINCT oid FROM source WHERE skipped != '' AND skipped = ?", (reason,)
    )
    return [row[0] for row in rows]


def read_title(connection: sqlite3.Connection, oid: str, read_as: str, tags: Collection[str]) -> str:
    """Return the title that one of these extractors found in an object, else ""."""
    row = connection.execute(
        f"SELECT title FROM source WHERE oid = ? AND read_as = ? AND extractor IN ({_marks(tags)})"
        " AND title != '' ORDER BY extractor LIMIT 1",
        (oid, read_as, *tags),
    ).fetchone()
    return str(row[0]) if row else ""


def read_stated_fields(connection: sqlite3.Connection, oid: str) -> list[dict[str, str]]:
    """Return the fields that each extractor found in an object."""
    rows = connection.execute("SELECT fields FROM source WHERE oid = ? ORDER BY extractor", (oid,))
    return [json.loads(row[0]) for row in rows]


# --- live observations ------------------------------------------------------------------------------


def read_inactive_observations(
    connection: sqlite3.Connection, oid: str, read_as: str, tags: Collection[str]
) -> list[StoredObservation]:
    """Return the observations of an object by these extractors that are not live."""
    rows = connection.execute(
        f"{_STORED} {_OF_OBJECT} AND s.extractor IN ({_marks(tags)}) AND NOT o.live ORDER BY o.id",
        (oid, read_as, *tags),
    )
    return _stored(rows)


def read_live_observations(
    connection: sqlite3.Connection, oid: str, read_as: str, excluded_tags: Collection[str] = ()
) -> list[StoredObservation]:
    """Return the live observations of an object, except those of some extractors."""
    rows = connection.execute(
        f"{_STORED} {_OF_OBJECT} AND o.live AND s.extractor NOT IN ({_marks(excluded_tags)}) ORDER BY o.id",
        (oid, read_as, *excluded_tags),
    )
    return _stored(rows)


def activate_observations(
    connection: sqlite3.Connection, rows: Sequence[StoredObservation], dated: int
) -> None:
    """Mark observations as live and add their words and texts. dated: about when they were written."""
    connection.executemany("UPDATE observation SET live = 1 WHERE id = ?", [(row.id,) for row in rows])
    connection.executemany(
        "INSERT INTO observation_words (rowid, words) VALUES (?, ?)",
        [(row.id, prepare_index_text(row.observation.text)) for row in rows],
    )
    connection.executemany(
        "INSERT INTO text (key, live, dated) VALUES (?, 1, ?)"
        " ON CONFLICT (key) DO UPDATE SET live = live + 1, dated = max(dated, excluded.dated)",
        [(row.text_key, dated) for row in rows],
    )


def deactivate_observations(connection: sqlite3.Connection, rows: Sequence[StoredObservation]) -> None:
    """Mark observations as no longer live and remove their words and texts."""
    connection.executemany("UPDATE observation SET live = 0 WHERE id = ?", [(row.id,) for row in rows])
    connection.executemany(
        "INSERT INTO observation_words (observation_words, rowid, words) VALUES ('delete', ?, ?)",
        [(row.id, prepare_index_text(row.observation.text)) for row in rows],
    )
    connection.executemany("UPDATE text SET live = live - 1 WHERE key = ?", [(row.text_key,) for row in rows])


# --- the words of whole documents -------------------------------------------------------------------


def index_document_words(
    connection: sqlite3.Connection, document: int, oid: str, read_as: str, title: str
) -> None:
    """Index the words of a whole document: its title and its live observations."""
    words = _document_words(connection, oid, read_as, title)
    connection.execute("INSERT INTO session_words (rowid, title, body) VALUES (?, ?, ?)", (document, *words))


def unindex_document_words(
    connection: sqlite3.Connection, document: int, oid: str, read_as: str, title: str
) -> None:
    """Remove the words of a document; title and observations must be those that were indexed."""
    # A contentless index deletes a row by the same words.
    connection.execute(
        "INSERT INTO session_words (session_words, rowid, title, body) VALUES ('delete', ?, ?, ?)",
        (document, *_document_words(connection, oid, read_as, title)),
    )


def _document_words(connection: sqlite3.Connection, oid: str, read_as: str, title: str) -> tuple[str, str]:
    texts = connection.execute(f"SELECT o.text {_OF_OBJECT} AND o.live ORDER BY o.id", (oid, read_as))
    return prepare_index_text(title), prepare_index_text("\n".join(row[0] for row in texts))


def _stored(rows: Iterable[Any]) -> list[StoredObservation]:
    return [StoredObservation(row[0], row[1], row[2], build_observation(*row[3:])) for row in rows]


def _marks(values: Collection[str]) -> str:
    return ", ".join("?" * len(values))
