"""Queries on documents: where texts lie, in trees of refs and as drafts in work trees."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True)
class DocumentLocation:
    """Where a document lies: the key of a `document` row.

    path: "" for the message of a commit. work_tree: "" for what a ref holds. read_as: what an object is read
    as: its kind, and what its path states of language and fields. date: seconds since 1970, from its path.
    """

    kind: str
    oid: str
    path: str = ""
    work_tree: str = ""
    session: str | None = None
    read_as: str = ""
    date: int | None = None

    def __post_init__(self) -> None:
        if not self.read_as:
            object.__setattr__(self, "read_as", self.kind)


class StoredDocument(NamedTuple):
    """A row of `document`."""

    id: int
    title: str
    location: DocumentLocation


_COLUMNS = "d.kind, d.oid, d.path, d.work_tree, d.session, d.read_as, d.dated"


def add_document(connection: sqlite3.Connection, location: DocumentLocation, title: str) -> int:
    """Store a document; return its id."""
    cursor = connection.execute(
        "INSERT INTO document (kind, oid, path, work_tree, session, read_as, dated, title)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            location.kind, location.oid, location.path, location.work_tree, location.session,
            location.read_as, location.date, title,
        ),
    )  # fmt: skip
    return int(cursor.lastrowid or 0)


def set_title(connection: sqlite3.Connection, document: int, title: str) -> None:
    """Store another title of a document."""
    connection.execute("UPDATE document SET title = ? WHERE id = ?", (title, document))


def delete_document(connection: sqlite3.Connection, document: int) -> None:
    """Delete a document."""
    connection.execute("DELETE FROM document WHERE id = ?", (document,))


def read_document(
    connection: sqlite3.Connection, oid: str, path: str, work_tree: str
) -> StoredDocument | None:
    """Return the document at a location, None where there is none."""
    rows = connection.execute(
        f"SELECT d.id, d.title, {_COLUMNS} FROM document d WHERE oid = ? AND path = ? AND work_tree = ?",
        (oid, path, work_tree),
    )
    return next(_documents(rows), None)


def read_documents_of_object(connection: sqlite3.Connection, oid: str) -> list[StoredDocument]:
    """Return every document that holds an object, by id."""
    rows = connection.execute(
        f"SELECT d.id, d.title, {_COLUMNS} FROM document d WHERE oid = ? ORDER BY id", (oid,)
    )
    return list(_documents(rows))


def read_locations_of_files(connection: sqlite3.Connection) -> set[DocumentLocation]:
    """Return the locations of all files that refs hold."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM document d WHERE d.path != '' AND d.work_tree = ''")
    return {DocumentLocation(*row) for row in rows}


def count_files_of_kind(connection: sqlite3.Connection, kind: str) -> int:
    """Return how many files of a kind refs hold."""
    statement = "SELECT count(*) FROM document WHERE kind = ? AND path != '' AND work_tree = ''"
    return int(connection.execute(statement, (kind,)).fetchone()[0])


def read_drafts(connection: sqlite3.Connection) -> list[DocumentLocation]:
    """Return the locations of all drafts."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM document d WHERE d.work_tree != ''")
    return [DocumentLocation(*row) for row in rows]


def read_draft_paths(connection: sqlite3.Connection, work_tree: str) -> list[str]:
    """Return the paths of the drafts in one work tree."""
    rows = connection.execute(
        "SELECT path FROM document WHERE work_tree = ? AND work_tree != ''", (work_tree,)
    )
    return [row[0] for row in rows]


def has_object(connection: sqlite3.Connection, oid: str, read_as: str) -> bool:
    """Return whether any document holds an object that is read so."""
    statement = "SELECT 1 FROM document WHERE oid = ? AND read_as = ?"
    return connection.execute(statement, (oid, read_as)).fetchone() is not None


def is_on_a_ref(connection: sqlite3.Connection, oid: str) -> bool:
    """Return whether a ref holds an object, as a document or as a commit."""
    statement = "SELECT 1 FROM document WHERE oid = ? AND work_tree = ''"
    return connection.execute(statement, (oid,)).fetchone() is not None


def read_sessions_of_object(connection: sqlite3.Connection, oid: str) -> set[str]:
    """Return the sessions that a commit or a document belongs to."""
    rows = connection.execute(
        "SELECT sc.session FROM session_commit sc JOIN commits c ON c.id = sc.commit_id WHERE c.oid = ?1"
        " UNION SELECT session FROM document WHERE oid = ?1 AND session IS NOT NULL",
        (oid,),
    )
    return {row[0] for row in rows}


def read_failed_locations(
    connection: sqlite3.Connection, tags: Collection[str], failed: str
) -> list[DocumentLocation]:
    """Return a location on refs of each object that an extractor failed on, the last tried one last.

    Args:
        connection: of the log.
        tags: those of the extractors in force.
        failed: the reason that is stored of a failure, as LIKE reads it.
    """
    rows = connection.execute(
        # CROSS JOIN: the few sources first, by their own index.
        f"SELECT {_COLUMNS} FROM source s CROSS JOIN document d ON d.oid = s.oid AND d.read_as = s.read_as"
        " WHERE s.skipped != '' AND s.skipped LIKE ? AND d.work_tree = ''"
        f" AND s.extractor IN ({_marks(tags)}) GROUP BY d.oid, d.read_as ORDER BY max(s.id)",
        (failed, *tags),
    )
    return [DocumentLocation(*row) for row in rows]


def read_outdated_locations(
    connection: sqlite3.Connection, kind: str, tags: Collection[str], live: Collection[str]
) -> list[DocumentLocation]:
    """Return documents of a kind that an extractor has not read, or that one has whose results do not stay.

    Args:
        connection: of the log.
        kind: the kind of documents.
        tags: those of the extractors in force that read it.
        live: the tags whose results are live.
    """
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM document d"
        " LEFT JOIN source s ON s.oid = d.oid AND s.read_as = d.read_as WHERE d.kind = ? GROUP BY d.id"
        f" HAVING total(s.extractor IN ({_marks(tags)})) != ?"
        f" OR total(s.extractor IN ({_marks(live)})) != count(s.id) ORDER BY d.id",
        (kind, *tags, len(tags), *live),
    )
    return [DocumentLocation(*row) for row in rows]


# --- files of work trees that refs hold -------------------------------------------------------------


def read_files_held(connection: sqlite3.Connection, work_tree: str) -> dict[str, str]:
    """Return path -> change token of files that a ref still holds as they were last read."""
    return dict(
        connection.execute(
            "SELECT f.path, f.stamp FROM file f WHERE f.work_tree = ? AND EXISTS"
            " (SELECT 1 FROM document d WHERE d.oid = f.oid AND d.work_tree = '')",
            (work_tree,),
        )
    )


def store_file(connection: sqlite3.Connection, work_tree: str, path: str, token: str, oid: str) -> None:
    """Store what a file of a work tree held when it was read."""
    connection.execute("INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?)", (work_tree, path, token, oid))


def delete_files(connection: sqlite3.Connection, work_tree: str) -> None:
    """Forget the files of a work tree."""
    connection.execute("DELETE FROM file WHERE work_tree = ?", (work_tree,))


def _documents(rows: Iterable[Any]) -> Iterator[StoredDocument]:
    return (StoredDocument(row[0], row[1], DocumentLocation(*row[2:])) for row in rows)


def _marks(values: Collection[str]) -> str:
    return ", ".join("?" * len(values))
