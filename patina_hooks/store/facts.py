"""Facts about the corpus as a whole: its hash, and counts."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

_ROWS_AT_ONCE = 10_000
_COUNTS = {
    "sessions": "SELECT count(*) FROM session",
    "commits": "SELECT count(*) FROM commits",
    "documents": "SELECT count(*) FROM document WHERE path != '' AND work_tree = ''",
    "drafts": "SELECT count(*) FROM document WHERE work_tree != ''",
    "observations": "SELECT count(*) FROM observation WHERE live",
    "pairs": "SELECT coalesce(sum(count), 0) FROM pair_total",
    "pending": "SELECT count(*) FROM text WHERE live > 0 AND indexed = 0",
    "truncated": "SELECT count(*) FROM commits WHERE truncated",
}
_BY_PATH = "SELECT reason, count(*) FROM left_out GROUP BY reason"
_FAILED = "the extractor % failed"
_BY_CONTENT = f"""
SELECT s.skipped, count(DISTINCT d.id) FROM source s
JOIN document d ON d.oid = s.oid AND d.read_as = s.read_as
WHERE s.skipped != '' AND s.skipped NOT LIKE '{_FAILED}' GROUP BY s.skipped
"""


@dataclass(frozen=True, slots=True)
class CorpusFacts:
    """Facts that need a look at the whole log. counts: see `counts`."""

    events_hash: str
    counts: Mapping[str, int]

    @classmethod
    def read(cls, connection: sqlite3.Connection) -> CorpusFacts:
        """Return the facts of one view of the log."""
        return cls(events_hash(connection), counts(connection))


@dataclass(frozen=True, slots=True)
class CollectionFacts:
    """What is indexed of a collection other than history.

    documents: those that were read. hash: over the paths and objects of all. left_out: reason -> number of
    files that a source names and that are left out for it.
    """

    documents: int
    observations: int
    pending: int
    hash: str
    left_out: Mapping[str, int]

    @classmethod
    def read(cls, connection: sqlite3.Connection) -> CollectionFacts:
        """Return the facts of one view of a collection's log."""
        numbers = counts(connection)
        by_path, by_content = (dict(connection.execute(query)) for query in (_BY_PATH, _BY_CONTENT))
        reasons = sorted({*by_path, *by_content})
        return cls(
            documents=numbers["documents"] - sum(by_content.values()),
            observations=numbers["observations"],
            pending=numbers["pending"],
            hash=events_hash(connection),
            left_out={reason: by_path.get(reason, 0) + by_content.get(reason, 0) for reason in reasons},
        )


def events_hash(connection: sqlite3.Connection) -> str:
    """SHA-256 over what live refs say: commits, session tags and session documents, in canonical order.

    It depends on neither the order in which they arrived nor on drafts: two clones with the same refs agree.
    """
    digest = hashlib.sha256()
    for kind, query in (
        ("commit", "SELECT oid, '' FROM commits ORDER BY 1"),
        ("tag", "SELECT name, oid FROM tip WHERE kind = 'tag' ORDER BY 1"),
        (
            "document",
            "SELECT path, oid FROM document WHERE path != '' AND work_tree = '' ORDER BY 1, 2",
        ),
    ):
        rows = connection.execute(query)
        while part := rows.fetchmany(_ROWS_AT_ONCE):
            # NUL, which no name holds: a name may hold what would pass for the next line.
            lines = "".join([f"{kind}\0{name}\0{oid}\0" for name, oid in part])
            digest.update(lines.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def counts(connection: sqlite3.Connection) -> Mapping[str, int]:
    """Return the counts by the names that `patina status` uses."""
    return {name: int(connection.execute(query).fetchone()[0]) for name, query in _COUNTS.items()}


def list_skipped(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """Return (name, reason) of live session tags and documents that were not read, or not to the end."""
    of_tags = "SELECT name, skipped FROM tip WHERE skipped != ''"
    return connection.execute(
        f"{of_tags} UNION {_documents_with('skipped')} UNION {_documents_with('unread')} ORDER BY 1, 2"
    ).fetchall()


def list_partly_read(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """Return (name, reason) of documents that were not read to the end, or on which an extractor failed.

    `CollectionFacts` counts the other documents that were not read.
    """
    failed = f"{_documents_with('skipped')} AND s.skipped LIKE '{_FAILED}'"
    return connection.execute(f"{failed} UNION {_documents_with('unread')} ORDER BY 1, 2").fetchall()


def _documents_with(column: str) -> str:
    return (
        f"SELECT coalesce(nullif(d.path, ''), d.oid), s.{column} FROM source s"
        f" JOIN document d ON d.oid = s.oid AND d.read_as = s.read_as WHERE s.{column} != ''"
    )
