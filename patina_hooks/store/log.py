"""The log: what patina knows, in SQLite, in the state folder that all work trees share.

`event` is append-only and tells what was seen and when. Every other table is derived from live refs,
work trees and extractors, and may be dropped and rebuilt at any time. One process writes at a time (the
sync lock); readers see the last committed state.
"""

from __future__ import annotations

import json
import sqlite3
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from patina_hooks.errors import GitError, LogDamaged, PatinaError, StateError
from patina_hooks.store.soundness import content_problem, schema_problem
from patina_hooks.store.word_index import NO_WORD_INDEX, OTHER_PYTHON
from patina_hooks.system.files import make_private, refuse_irregular

LOG_FILE = "log.db"
_VERSION = 5
_BUSY_MS = 30_000
Value = TypeVar("Value")

_EVENTS = """
CREATE TABLE event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL,
    detail TEXT NOT NULL, dated INTEGER NOT NULL DEFAULT 0
);
"""
_EVENT_INDEXES = (
    "CREATE INDEX IF NOT EXISTS event_by_date ON event (dated, seq)",
    "CREATE INDEX IF NOT EXISTS event_by_subject ON event (subject)",
)
_EVENT_COLUMNS = frozenset({"seq", "time", "kind", "subject", "detail", "dated"})
_RECORD_ONCE = """
INSERT INTO event (time, kind, subject, detail, dated) SELECT ?1, ?2, ?3, ?4, ?5 WHERE NOT coalesce((
    SELECT kind = ?2 AND (kind = 'commit' OR detail = ?4) FROM event
    WHERE subject = ?3 AND kind IN (?2, CASE ?2 WHEN 'commit' THEN 'gone' WHEN 'document' THEN 'left' END)
    AND (?2 NOT IN ('document', 'skipped') OR detail = ?4) ORDER BY seq DESC LIMIT 1), 0)
"""
_DERIVED = {
    "fact": "CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    # What the last reconcile saw of each live ref and each work tree's HEAD.
    "tip": """CREATE TABLE tip (
        name TEXT PRIMARY KEY, kind TEXT NOT NULL, oid TEXT NOT NULL, target TEXT, dated INTEGER,
        session TEXT, adapter TEXT, side TEXT, skipped TEXT NOT NULL)""",
    "tip_of_trunk": "CREATE INDEX tip_of_trunk ON tip (name) WHERE kind != 'tag'",
    "tip_by_session": "CREATE INDEX tip_by_session ON tip (session) WHERE session IS NOT NULL",
    # The tree of session documents at each tip, '' where it has none. covered: whether another recorded
    # commit stands on it, so that what it reaches is reached from another tip as well.
    "tip_tree": """CREATE TABLE tip_tree (
        target TEXT PRIMARY KEY, tree TEXT NOT NULL, covered INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID""",
    "commits": """CREATE TABLE commits (
        id INTEGER PRIMARY KEY, oid TEXT NOT NULL UNIQUE, author TEXT NOT NULL, authored INTEGER NOT NULL,
        committed INTEGER NOT NULL, merge INTEGER NOT NULL, truncated INTEGER NOT NULL)""",
    "commits_by_time": "CREATE INDEX commits_by_time ON commits (committed)",
    "commits_truncated": "CREATE INDEX commits_truncated ON commits (oid) WHERE truncated",
    # born: when the first recorded commit that changed it was made, NULL where there is none.
    "path": """CREATE TABLE path (
        id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, folder TEXT NOT NULL, born INTEGER)""",
    "path_by_birth": "CREATE INDEX path_by_birth ON path (born)",
    "path_by_folder": "CREATE INDEX path_by_folder ON path (folder)",
    "change": """CREATE TABLE change (
        commit_id INTEGER NOT NULL REFERENCES commits ON DELETE CASCADE, path_id INTEGER NOT NULL,
        status TEXT NOT NULL, PRIMARY KEY (commit_id, path_id)) WITHOUT ROWID""",
    "change_by_path": "CREATE INDEX change_by_path ON change (path_id)",
    # A text with its place. work_tree is '' for what a ref holds, else the draft's work tree.
    "document": """CREATE TABLE document (
        id INTEGER PRIMARY KEY, kind TEXT NOT NULL, oid TEXT NOT NULL, path TEXT NOT NULL,
        work_tree TEXT NOT NULL, session TEXT, title TEXT NOT NULL, UNIQUE (oid, path, work_tree))""",
    "document_by_session": "CREATE INDEX document_by_session ON document (session)",
    "document_by_path": "CREATE INDEX document_by_path ON document (path) WHERE path != ''",
    "document_draft": "CREATE INDEX document_draft ON document (work_tree) WHERE work_tree != ''",
    # What a file of a work tree held when it was last read, where a ref holds that too.
    "file": """CREATE TABLE file (
        work_tree TEXT NOT NULL, path TEXT NOT NULL, stamp TEXT NOT NULL, oid TEXT NOT NULL,
        PRIMARY KEY (work_tree, path)) WITHOUT ROWID""",
    # What one version of one extractor made of one object: the cache of observations. skipped: why it could
    # not be read at all; unread: which lines it left out that are missed now. Both are '' for most.
    "source": """CREATE TABLE source (
        id INTEGER PRIMARY KEY, oid TEXT NOT NULL, extractor TEXT NOT NULL, title TEXT NOT NULL,
        fields TEXT NOT NULL, skipped TEXT NOT NULL, unread TEXT NOT NULL, UNIQUE (oid, extractor))""",
    "source_skipped": "CREATE INDEX source_skipped ON source (skipped) WHERE skipped != ''",
    "source_unread": "CREATE INDEX source_unread ON source (unread) WHERE unread != ''",
    "observation": """CREATE TABLE observation (
        id INTEGER PRIMARY KEY, source_id INTEGER NOT NULL REFERENCES source ON DELETE CASCADE,
        key BLOB NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL, line INTEGER NOT NULL,
        section TEXT NOT NULL, weight REAL NOT NULL, text_key BLOB NOT NULL,
        live INTEGER NOT NULL DEFAULT 0)""",
    "observation_by_source": "CREATE INDEX observation_by_source ON observation (source_id)",
    "observation_by_text": "CREATE INDEX observation_by_text ON observation (text_key, key) WHERE live",
    "observation_by_kind": "CREATE INDEX observation_by_kind ON observation (kind) WHERE live",
    "observation_by_key": "CREATE INDEX observation_by_key ON observation (key)",
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
_SCHEMA = _DERIVED | {sql.split()[5]: sql for sql in _EVENT_INDEXES}


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the log.

    time: when it was recorded, in seconds since 1970. dated: when it happened; the time of recording where
    nothing tells.
    """

    time: int
    kind: str
    subject: str
    detail: str
    dated: int


class Log:
    """A connection to the log, closed by `with`. `with log.writing():` is one transaction, all or nothing.

    A log of another version is emptied and rebuilt from git, but for its events. What SQLite raises within
    `with` leaves it as a `StateError` that says what to type: `LogDamaged` where the file must be made anew.
    """

    def __init__(self, folder: Path, *, create: bool = True) -> None:
        self.path = folder / LOG_FILE
        self.is_new = False
        if create:
            make_private(folder)
        else:
            refuse_irregular(folder)
            if not self.path.is_file():
                raise StateError(f"nothing is recorded yet in {folder}", hint="patina init")
        try:
            self.connection = connect(self.path) if create else connect_to_read(self.path)
            # A notebook drops a memory that it never closed.
            weakref.finalize(self, self.connection.close)
            self._refuse_schema({})
            if create:
                self._prepare()
            if self._version() == _VERSION:
                self._refuse_schema(_SCHEMA)
        except sqlite3.DatabaseError as error:
            raise _damaged(self.path, error) from error

    def close(self) -> None:
        self.connection.close()

    def __enter__(self) -> Log:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            self.explain(error)
        finally:
            self.close()

    def explain(self, error: BaseException | None) -> None:
        """Raise what an error within `with` means where the file is its cause; return where it is not.

        Raises:
            StateError: the file cannot be used.
            LogDamaged: the file must be made again.
        """
        # The other subclasses of DatabaseError are mistakes of ours, or of whoever wrote this file.
        if type(error) in (sqlite3.DatabaseError, sqlite3.OperationalError):
            raise _damaged(self.path, error) from error
        expected = isinstance(error, PatinaError | OSError) and not isinstance(error, GitError)
        if isinstance(error, Exception) and not expected:
            try:
                self.check()
            except LogDamaged as damage:
                raise damage from error

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One write transaction; rolled back when the block raises."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield self.connection
            self.connection.commit()
        except BaseException:
            self.connection.rollback()
            raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One consistent view over several queries."""
        self.connection.execute("BEGIN")
        try:
            yield self.connection
        finally:
            self.connection.commit()  # temporary tables stay

    # --- facts and events -----------------------------------------------------------------------

    def fact(self, name: str, default: str = "") -> str:
        """One remembered value."""
        row = self.connection.execute("SELECT value FROM fact WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else default

    def remember(self, name: str, value: str) -> None:
        self.connection.execute("INSERT OR REPLACE INTO fact VALUES (?, ?)", (name, value))

    def record(self, kind: str, subjects: Iterable[tuple[str, str]]) -> None:
        """Append one event for each (subject, detail), now."""
        now = int(time.time())
        self.connection.executemany(
            "INSERT INTO event (time, kind, subject, detail, dated) VALUES (?, ?, ?, ?, ?)",
            [(now, kind, subject, detail, now) for subject, detail in subjects],
        )

    def record_once(self, kind: str, subjects: Iterable[tuple[str, str, int | None]]) -> None:
        """Append one event for each (subject, detail, date) that the log does not end with already.

        An index that is built from nothing keeps its events, and reads the same history again.
        date: when it happened, None for now.
        """
        now = int(time.time())
        values = [
            (now, kind, subject, detail, now if date is None else date) for subject, detail, date in subjects
        ]
        self.connection.executemany(_RECORD_ONCE, values)

    def rewrite(self, change: Callable[[str], str]) -> None:
        """Change the details of past events: the one thing that may, for a secret that must not stay."""
        rows = self.connection.execute("SELECT seq, detail FROM event").fetchall()
        changed = [(new, seq) for seq, detail in rows if (new := change(detail)) != detail]
        self.connection.executemany("UPDATE event SET detail = ? WHERE seq = ?", changed)

    def events(self, limit: int, kind: str | None = None) -> list[Event]:
        """The last events, by the date at which they happened, newest first; of one kind, if it is named."""
        rows = self.connection.execute(
            "SELECT time, kind, subject, detail, dated FROM event WHERE ? IN ('', kind)"
            " ORDER BY dated DESC, seq DESC LIMIT ?",
            (kind or "", limit),
        )
        return [Event(*row) for row in rows]

    def check(self) -> None:
        """Read every page and every row. Raises `LogDamaged` where the database is not sound."""
        try:
            problems = [str(row[0]) for row in self.connection.execute("PRAGMA quick_check(5)")]
            if problems == ["ok"]:
                tables = (
                    "event",
                    *(name for name, sql in _DERIVED.items() if sql.startswith("CREATE TABLE")),
                )
                problems = [content_problem(self.connection, tables)]
        except sqlite3.DatabaseError as error:
            problems = [str(error)]
        if any(problems):
            raise LogDamaged(f"{self.path} is damaged: {'; '.join(problems)}", hint="patina sync --full")

    def _refuse_schema(self, expected: Mapping[str, str]) -> None:
        problem = schema_problem(self.connection, expected, complete=True)
        if not problem and expected:
            columns = {row[1] for row in self.connection.execute("PRAGMA table_info(event)")}
            problem = "" if columns == _EVENT_COLUMNS else "event has another shape"
        if problem:
            self.close()
            raise LogDamaged(f"{self.path} is damaged: {problem}", hint="patina sync")

    # --- facts of a shape -----------------------------------------------------------------------

    def number(self, name: str) -> int | None:
        """One remembered number, None where there is none. Raises `LogDamaged` for anything else."""
        text = self.fact(name)
        if text and not (text.isascii() and text.isdecimal() and len(text) < 20):
            raise self._odd_fact(name)
        return int(text) if text else None

    def parsed(self, name: str, default: str, read: Callable[[Any], Value]) -> Value:
        """One remembered JSON value.

        Args:
            read: makes a value of what JSON holds; a TypeError, ValueError or LookupError refuses it.

        Raises:
            LogDamaged: for any other shape.
        """
        try:
            return read(json.loads(self.fact(name, default)))
        except (TypeError, ValueError, LookupError, AttributeError, RecursionError) as error:
            raise self._odd_fact(name) from error

    def _odd_fact(self, name: str) -> LogDamaged:
        return LogDamaged(f"{self.path} is damaged: {name!r} has another shape", hint="patina sync")

    def compact(self) -> None:
        """Give back the room of what was deleted, and leave no copy of it. Not inside a transaction."""
        with self.writing() as connection:
            for words in ("observation_words", "session_words"):
                # A deleted word stays in the index as such until its segments are merged.
                connection.execute(f"INSERT INTO {words} ({words}) VALUES ('optimize')")
        self.connection.execute("VACUUM")
        self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def empty(self) -> None:
        """Drop everything that is derived; events stay. Inside a transaction."""
        for name, statement in _DERIVED.items():
            what = "INDEX" if statement.startswith("CREATE INDEX") else "TABLE"
            self.connection.execute(f"DROP {what} IF EXISTS {name}")
        for statement in _DERIVED.values():
            self.connection.execute(statement)

    def _prepare(self) -> None:
        if self._version() == _VERSION:
            return
        with self.writing() as connection:
            if self._version() == _VERSION:
                return  # another process was faster
            self._prepare_events(connection)
            self.empty()
            connection.execute(f"PRAGMA user_version = {_VERSION}")

    def _prepare_events(self, connection: sqlite3.Connection) -> None:
        """Create the table of events, or give the one of version 3 its dates."""
        columns = [row[1] for row in connection.execute("PRAGMA table_info(event)")]
        if not columns:
            self.is_new = True
            connection.execute(_EVENTS)
        elif "dated" not in columns:
            connection.execute("ALTER TABLE event ADD COLUMN dated INTEGER NOT NULL DEFAULT 0")
            connection.execute(
                "UPDATE event SET dated = coalesce("
                "(SELECT committed FROM commits WHERE kind = 'commit' AND oid = subject), time)"
            )
        for statement in _EVENT_INDEXES:
            connection.execute(statement)

    def _version(self) -> int:
        return int(self.connection.execute("PRAGMA user_version").fetchone()[0])


def set_aside(folder: Path) -> None:
    """Move a damaged log out of the way, keeping the last one for a look."""
    path = folder / LOG_FILE
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    if path.exists():
        path.replace(path.with_name(path.name + ".damaged"))


def name_text(name: str) -> str:
    """A path or ref name as it is stored: bytes that are no UTF-8 are written out, readable and distinct."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def read_data_version(connection: sqlite3.Connection) -> int:
    """Return a number that differs after another connection has written."""
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


def connect(path: Path) -> sqlite3.Connection:
    # Threads may take turns on one connection: which of them asks is the caller's business.
    connection = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_MS / 1000, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA secure_delete = ON")  # a text that was redacted is not to stay on the disk
    except BaseException:
        connection.close()
        raise
    return connection


def connect_to_read(path: Path) -> sqlite3.Connection:
    """A connection that reads, also where nothing may be written."""
    try:
        connection = connect(path)
    except sqlite3.OperationalError:
        # No room, or no permission, for the two files that WAL needs beside the database: it is read as it
        # stands. What the last writer closed is complete.
        unchanging = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        connection = sqlite3.connect(unchanging, uri=True, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA temp_store = MEMORY")  # of filters, see `patina_hooks.search.filters.filters`
    return connection


def _damaged(path: Path, error: BaseException | None) -> StateError:
    if NO_WORD_INDEX in str(error):
        return StateError("cannot index words: the SQLite of this Python has no FTS5", hint=OTHER_PYTHON)
    if "no such table" in str(error):
        return StateError(f"{path} holds nothing yet", hint="patina sync")
    if isinstance(error, sqlite3.OperationalError) and "malformed" not in str(error):
        return StateError(f"{path} cannot be used: {error}", hint="patina doctor")
    return LogDamaged(f"{path} is damaged: {error}", hint="patina sync")
