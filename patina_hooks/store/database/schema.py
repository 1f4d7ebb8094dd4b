"""The schema of the log, and the upgrade of an older file.

`event` is append-only and survives every change of the schema. Every other table is derived from live refs,
work trees and extractors; a file of another version has these dropped and created.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Final

from patina_hooks.store.database.soundness import content_problem, schema_problem

VERSION: Final = 7
"""Raised with every change of a derived table."""

_EVENTS: Final = """
CREATE TABLE event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL,
    detail TEXT NOT NULL, dated INTEGER NOT NULL DEFAULT 0
);
"""
_EVENT_INDEXES: Final = (
    "CREATE INDEX IF NOT EXISTS event_by_date ON event (dated, seq)",
    "CREATE INDEX IF NOT EXISTS event_by_subject ON event (subject)",
)
_EVENT_COLUMNS: Final = frozenset({"seq", "time", "kind", "subject", "detail", "dated"})
_DERIVED: Final[Mapping[str, str]] = {
    "fact": "CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    # Each live ref and each work tree's HEAD, as the last reconcile read it.
    "tip": """CREATE TABLE tip (
        name TEXT PRIMARY KEY, kind TEXT NOT NULL, oid TEXT NOT NULL, target TEXT, dated INTEGER,
        session TEXT, adapter TEXT, side TEXT, skipped TEXT NOT NULL)""",
    "tip_of_trunk": "CREATE INDEX tip_of_trunk ON tip (name) WHERE kind != 'tag'",
    "tip_by_session": "CREATE INDEX tip_by_session ON tip (session) WHERE session IS NOT NULL",
    # The tree of each scope's folder at each live ref, '' if it has none: see `corpus.sources.TreeScope`.
    # covered: whether the commit is an ancestor of another recorded commit, so that what it reaches is
    # reached from another live ref as well.
    "tip_tree": """CREATE TABLE tip_tree (
        scope TEXT NOT NULL, target TEXT NOT NULL, tree TEXT NOT NULL, covered INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (scope, target)) WITHOUT ROWID""",
    # parents: the bytes of their ids, one after the other. chain, position: see `store.corpus.chains`.
    "commits": """CREATE TABLE commits (
        id INTEGER PRIMARY KEY, oid TEXT NOT NULL UNIQUE, author TEXT NOT NULL, authored INTEGER NOT NULL,
        committed INTEGER NOT NULL, merge INTEGER NOT NULL, truncated INTEGER NOT NULL,
        parents BLOB NOT NULL, chain INTEGER, position INTEGER)""",
    "commits_by_time": "CREATE INDEX commits_by_time ON commits (committed)",
    "commits_by_chain": "CREATE INDEX commits_by_chain ON commits (chain, position)",
    "commits_truncated": "CREATE INDEX commits_truncated ON commits (oid) WHERE truncated",
    # The parents that are not the commit before in the same chain, of newer children last.
    "chain_edge": """CREATE TABLE chain_edge (
        id INTEGER PRIMARY KEY, chain INTEGER NOT NULL, position INTEGER NOT NULL,
        parent_chain INTEGER NOT NULL, parent_position INTEGER NOT NULL)""",
    "chain_edge_by_child": "CREATE INDEX chain_edge_by_child ON chain_edge (chain, position)",
    # born: when the first recorded commit that changed it was made, NULL where there is none.
    "path": """CREATE TABLE path (
        id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, folder TEXT NOT NULL, born INTEGER)""",
    "path_by_birth": "CREATE INDEX path_by_birth ON path (born)",
    "path_by_folder": "CREATE INDEX path_by_folder ON path (folder)",
    "change": """CREATE TABLE change (
        commit_id INTEGER NOT NULL REFERENCES commits ON DELETE CASCADE, path_id INTEGER NOT NULL,
        status TEXT NOT NULL, PRIMARY KEY (commit_id, path_id)) WITHOUT ROWID""",
    "change_by_path": "CREATE INDEX change_by_path ON change (path_id)",
    # A text with its location. work_tree is '' for what a ref holds, else the draft's work tree; path is ''
    # for the message of a commit. read_as: the kind, and what the path says of language and fields.
    "document": """CREATE TABLE document (
        id INTEGER PRIMARY KEY, kind TEXT NOT NULL, oid TEXT NOT NULL, path TEXT NOT NULL,
        work_tree TEXT NOT NULL, session TEXT, read_as TEXT NOT NULL, dated INTEGER, title TEXT NOT NULL,
        UNIQUE (oid, path, work_tree))""",
    "document_by_date": "CREATE INDEX document_by_date ON document (dated) WHERE dated IS NOT NULL",
    "document_by_session": "CREATE INDEX document_by_session ON document (session)",
    "document_by_path": "CREATE INDEX document_by_path ON document (path) WHERE path != ''",
    "document_draft": "CREATE INDEX document_draft ON document (work_tree) WHERE work_tree != ''",
    # Files of trees at HEADs that some source names and that are not documents. kind, read_as: those of the
    # document that a file would be if there were room for it, '' for other reasons.
    "left_out": """CREATE TABLE left_out (
        path TEXT NOT NULL, oid TEXT NOT NULL, reason TEXT NOT NULL, kind TEXT NOT NULL,
        read_as TEXT NOT NULL, PRIMARY KEY (path, oid)) WITHOUT ROWID""",
    "left_out_by_kind": "CREATE INDEX left_out_by_kind ON left_out (kind) WHERE kind != ''",
    # What a file of a work tree held when it was last read, where a ref holds that too.
    "file": """CREATE TABLE file (
        work_tree TEXT NOT NULL, path TEXT NOT NULL, stamp TEXT NOT NULL, oid TEXT NOT NULL,
        PRIMARY KEY (work_tree, path)) WITHOUT ROWID""",
    # What one version of one extractor made of one object: the cache of observations. skipped: why it could
    # not be read at all; unread: which lines it left out that are missed now. Both are '' for most.
    "source": """CREATE TABLE source (
        id INTEGER PRIMARY KEY, oid TEXT NOT NULL, read_as TEXT NOT NULL, extractor TEXT NOT NULL,
        title TEXT NOT NULL, fields TEXT NOT NULL, skipped TEXT NOT NULL, unread TEXT NOT NULL,
        UNIQUE (oid, read_as, extractor))""",
    "source_skipped": "CREATE INDEX source_skipped ON source (skipped) WHERE skipped != ''",
    "source_unread": "CREATE INDEX source_unread ON source (unread) WHERE unread != ''",
    "observation": """CREATE TABLE observation (
        id INTEGER PRIMARY KEY, source_id INTEGER NOT NULL REFERENCES source ON DELETE CASCADE,
        key BLOB NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL, line INTEGER NOT NULL,
        section TEXT NOT NULL, weight REAL NOT NULL, text_key BLOB NOT NULL, name TEXT NOT NULL,
        last_line INTEGER NOT NULL, live INTEGER NOT NULL DEFAULT 0)""",
    "observation_by_source": "CREATE INDEX observation_by_source ON observation (source_id)",
    "observation_by_text": "CREATE INDEX observation_by_text ON observation (text_key, key) WHERE live",
    "observation_by_kind": "CREATE INDEX observation_by_kind ON observation (kind) WHERE live",
    "observation_by_key": "CREATE INDEX observation_by_key ON observation (key)",
    # The fields that an extractor gave an observation.
    "field": """CREATE TABLE field (
        observation_id INTEGER NOT NULL REFERENCES observation ON DELETE CASCADE, name TEXT NOT NULL,
        value TEXT NOT NULL, PRIMARY KEY (observation_id, name)) WITHOUT ROWID""",
    "field_by_value": "CREATE INDEX field_by_value ON field (name, value)",
    # How many live observations say a text, whether the answering vector index holds it, and how new it is.
    "text": """CREATE TABLE text (
        key BLOB PRIMARY KEY, live INTEGER NOT NULL, indexed INTEGER NOT NULL DEFAULT 0,
        dated INTEGER NOT NULL)""",
    "text_missing": "CREATE INDEX text_missing ON text (dated, key) WHERE live > 0 AND indexed = 0",
    "text_left": "CREATE INDEX text_left ON text (key) WHERE live = 0",
    "session": """CREATE TABLE session (
        id TEXT PRIMARY KEY, title TEXT NOT NULL, adapter TEXT, started INTEGER, ended INTEGER, start TEXT,
        "end" TEXT, path TEXT, state TEXT NOT NULL, ranged INTEGER NOT NULL)""",
    "session_by_start": "CREATE INDEX session_by_start ON session (started)",
    "session_by_time": "CREATE INDEX session_by_time ON session (started, ended, id) WHERE NOT ranged",
    "session_commit": """CREATE TABLE session_commit (
        session TEXT NOT NULL, commit_id INTEGER NOT NULL, PRIMARY KEY (session, commit_id)) WITHOUT ROWID""",
    "session_by_commit": "CREATE INDEX session_by_commit ON session_commit (commit_id)",
    # What pair generators read: a session (by id), a commit (by oid), a module (by folder). What changed any
    # of it marks it stale, in the same transaction; its pairs are then made anew.
    "unit": """CREATE TABLE unit (
        id INTEGER PRIMARY KEY, reads TEXT NOT NULL, name TEXT NOT NULL, stale INTEGER NOT NULL,
        UNIQUE (reads, name))""",
    "unit_stale": "CREATE INDEX unit_stale ON unit (reads, name) WHERE stale",
    # Generators in force. reached: the last unit (by id) that a new one has read, NULL when it has read all.
    "generator": """CREATE TABLE generator (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, version INTEGER NOT NULL, reads TEXT NOT NULL,
        evidence TEXT NOT NULL, reached INTEGER)""",
    # kind and evidence are '' where they are the generator's own. A side is the id of an observation, or that
    # of a path with a minus; negative is 0 for none.
    "pair": """CREATE TABLE pair (
        unit_id INTEGER NOT NULL, generator_id INTEGER NOT NULL, kind TEXT NOT NULL, anchor INTEGER NOT NULL,
        positive INTEGER NOT NULL, negative INTEGER NOT NULL, weight REAL NOT NULL, evidence TEXT NOT NULL,
        PRIMARY KEY (unit_id, generator_id, kind, anchor, positive, negative)) WITHOUT ROWID""",
    # The count of all pairs of a kind, and the sum of their weights in billionths.
    "pair_total": """CREATE TABLE pair_total (
        generator_id INTEGER NOT NULL, kind TEXT NOT NULL, count INTEGER NOT NULL, weight INTEGER NOT NULL,
        PRIMARY KEY (generator_id, kind)) WITHOUT ROWID""",
    "observation_words": """CREATE VIRTUAL TABLE observation_words USING fts5 (
        words, tokenize = 'porter unicode61', content = '', columnsize = 1)""",
    "session_words": """CREATE VIRTUAL TABLE session_words USING fts5 (
        title, body, tokenize = 'porter unicode61', content = '', columnsize = 1)""",
    "observation_terms": "CREATE VIRTUAL TABLE observation_terms USING fts5vocab (observation_words, row)",
    "session_terms": "CREATE VIRTUAL TABLE session_terms USING fts5vocab (session_words, row)",
}
_SCHEMA: Final = {**_DERIVED, **{sql.split()[5]: sql for sql in _EVENT_INDEXES}}
_TABLES: Final = ("event", *(name for name, sql in _DERIVED.items() if sql.startswith("CREATE TABLE")))
WORD_TABLES: Final = {
    name: _DERIVED[name]
    for name in ("observation_words", "session_words", "observation_terms", "session_terms")
}
"""The statements of the tables of words, which an evaluation creates in memory too."""


def read_version(connection: sqlite3.Connection) -> int:
    """Return the version of the schema that a file has, 0 for an empty one."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def upgrade_schema(connection: sqlite3.Connection) -> bool:
    """Give a file the present schema, inside a transaction; events stay.

    Returns:
        Whether the file had no table of events.
    """
    is_new = _create_events(connection)
    recreate_derived(connection)
    connection.execute(f"PRAGMA user_version = {VERSION}")
    return is_new


def recreate_derived(connection: sqlite3.Connection) -> None:
    """Drop and create all derived tables, inside a transaction; events stay."""
    for name, statement in _DERIVED.items():
        kind = "INDEX" if statement.startswith("CREATE INDEX") else "TABLE"
        connection.execute(f"DROP {kind} IF EXISTS {name}")
    for statement in _DERIVED.values():
        connection.execute(statement)


def find_foreign_entry(connection: sqlite3.Connection) -> str:
    """Describe a view or trigger, which patina never creates, "" if there is none."""
    return schema_problem(connection, {}, complete=True)


def find_schema_problem(connection: sqlite3.Connection) -> str:
    """Describe how a file of the present version differs from the schema, "" if it does not."""
    if problem := schema_problem(connection, _SCHEMA, complete=True):
        return problem
    columns = {row[1] for row in connection.execute("PRAGMA table_info(event)")}
    return "" if columns == _EVENT_COLUMNS else "event has another shape"


def find_content_problems(connection: sqlite3.Connection) -> list[str]:
    """Read every page and every row; describe damage."""
    problems = [str(row[0]) for row in connection.execute("PRAGMA quick_check(5)")]
    if problems != ["ok"]:
        return problems
    problem = content_problem(connection, _TABLES)
    return [problem] if problem else []


def compact(connection: sqlite3.Connection) -> None:
    """Free the space of deleted rows and leave no copy of them; not inside a transaction."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for words in ("observation_words", "session_words"):
            # A deleted word stays in the index as such until its segments are merged.
            connection.execute(f"INSERT INTO {words} ({words}) VALUES ('optimize')")
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
    connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _create_events(connection: sqlite3.Connection) -> bool:
    """Create the table of events, or give that of version 3 its dates; return whether there was none."""
    columns = [row[1] for row in connection.execute("PRAGMA table_info(event)")]
    if not columns:
        connection.execute(_EVENTS)
    elif "dated" not in columns:
        connection.execute("ALTER TABLE event ADD COLUMN dated INTEGER NOT NULL DEFAULT 0")
        connection.execute(
            "UPDATE event SET dated = coalesce("
            "(SELECT committed FROM commits WHERE kind = 'commit' AND oid = subject), time)"
        )
    for statement in _EVENT_INDEXES:
        connection.execute(statement)
    return not columns
