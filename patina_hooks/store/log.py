"""The log: the database of events and derived data, in the state folder that all work trees share.

`event` is append-only and records what was seen and when. Every other table is derived from live refs,
work trees and extractors, and may be dropped and rebuilt at any time. One process writes at a time (the
sync lock); readers see the last committed state.
"""

from __future__ import annotations

import sqlite3
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from patina_hooks.config.parsing import parse_json
from patina_hooks.errors import GitError, LogDamaged, PatinaError, StateError
from patina_hooks.store.database.connection import connect, connect_to_read
from patina_hooks.store.database.schema import (
    VERSION,
    find_content_problems,
    find_foreign_entry,
    find_schema_problem,
    read_version,
    upgrade_schema,
)
from patina_hooks.store.database.word_index import NO_WORD_INDEX, OTHER_PYTHON
from patina_hooks.store.events import append_events, append_new_events
from patina_hooks.system.files import make_private, refuse_irregular

LOG_FILE = "log.db"
Value = TypeVar("Value")


class Log:
    """A connection to the log, closed by `with`. `with log.writing():` is one transaction, all or nothing.

    A log of another version is emptied and rebuilt from git, except for its events. An error of SQLite within
    `with` is raised as a `StateError` with the command to type: `LogDamaged` if the file must be rebuilt.
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
            # A notebook may drop a log that it never closed.
            weakref.finalize(self, self.connection.close)
            self._refuse(find_foreign_entry(self.connection))
            if create:
                self._prepare()
            if read_version(self.connection) == VERSION:
                self._refuse(find_schema_problem(self.connection))
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
        """Raise an error within `with` as a `StateError` if the file is its cause.

        Raises:
            StateError: the file cannot be used.
            LogDamaged: the file must be made again.
        """
        # Other subclasses of DatabaseError are bugs, or wrong values in this file.
        if type(error) in (sqlite3.DatabaseError, sqlite3.OperationalError):
            raise _damaged(self.path, error) from error
        expected = isinstance(error, PatinaError | OSError) and not isinstance(error, GitError)
        if isinstance(error, Exception) and not expected:
            try:
                self.check()
            except LogDamaged as damage:
                raise damage from error

    @contextmanager
    def writing(self, *, wait: bool = True) -> Iterator[sqlite3.Connection]:
        """Open a write transaction, which is rolled back if the block raises.

        Args:
            wait: wait for another writer; otherwise this connection never waits, and SQLite raises an error.
        """
        if not wait:
            self.connection.execute("PRAGMA busy_timeout = 0")
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield self.connection
            self.connection.commit()
        except BaseException:
            self.connection.rollback()
            raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Open a consistent view for several queries."""
        self.connection.execute("BEGIN")
        try:
            yield self.connection
        finally:
            self.connection.commit()  # temporary tables stay

    # --- facts and events -----------------------------------------------------------------------

    def fact(self, name: str, default: str = "") -> str:
        """Return a stored value, by its name."""
        row = self.connection.execute("SELECT value FROM fact WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else default

    def facts(self, prefix: str) -> list[str]:
        """Return the names of stored values with a prefix."""
        rows = self.connection.execute(
            "SELECT name FROM fact WHERE substr(name, 1, length(?)) = ?", (prefix, prefix)
        )
        return [row[0] for row in rows]

    def forget(self, name: str) -> None:
        """Remove a stored value."""
        self.connection.execute("DELETE FROM fact WHERE name = ?", (name,))

    def remember(self, name: str, value: str) -> None:
        """Store a value under a name."""
        self.connection.execute("INSERT OR REPLACE INTO fact VALUES (?, ?)", (name, value))

    def record(self, kind: str, subjects: Iterable[tuple[str, str]]) -> None:
        """Append one event for each (subject, detail), now."""
        append_events(self.connection, kind, subjects)

    def record_once(self, kind: str, subjects: Iterable[tuple[str, str, int | None]]) -> None:
        """Append new events, see `append_new_events`."""
        append_new_events(self.connection, kind, subjects)

    def check(self) -> None:
        """Read every page and every row.

        Raises:
            LogDamaged: the database is damaged.
        """
        try:
            problems = find_content_problems(self.connection)
        except sqlite3.DatabaseError as error:
            problems = [str(error)]
        if problems:
            raise LogDamaged(f"{self.path} is damaged: {'; '.join(problems)}", hint="patina sync --full")

    def _refuse(self, problem: str) -> None:
        if problem:
            self.close()
            raise LogDamaged(f"{self.path} is damaged: {problem}", hint="patina sync")

    # --- facts of a shape -----------------------------------------------------------------------

    def number(self, name: str) -> int | None:
        """Return a stored number, None if there is none.

        Raises:
            LogDamaged: the value is not a number.
        """
        text = self.fact(name)
        if text and not (text.isascii() and text.isdecimal() and len(text) < 20):
            raise self._odd_fact(name)
        return int(text) if text else None

    def parsed(self, name: str, default: str, parse: Callable[[Any], Value]) -> Value:
        """Return a stored JSON value.

        Args:
            name: of the value.
            default: JSON for an absent value.
            parse: makes a value of the decoded JSON; a TypeError, ValueError or LookupError refuses it.

        Raises:
            LogDamaged: the value was refused.
        """
        try:
            return parse(parse_json(self.fact(name, default)))
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            raise self._odd_fact(name) from error

    def _odd_fact(self, name: str) -> LogDamaged:
        return LogDamaged(f"{self.path} is damaged: {name!r} has another shape", hint="patina sync")

    def _prepare(self) -> None:
        if read_version(self.connection) == VERSION:
            return
        with self.writing() as connection:
            if read_version(connection) != VERSION:  # else another process was faster
                self.is_new = upgrade_schema(connection)


def set_aside_log(folder: Path) -> None:
    """Rename a damaged log; the last one is kept for inspection."""
    path = folder / LOG_FILE
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    if path.exists():
        path.replace(path.with_name(path.name + ".damaged"))


def escape_name(name: str) -> str:
    """Return a path or ref name as it is stored: bytes that are not UTF-8 are escaped."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _damaged(path: Path, error: BaseException | None) -> StateError:
    if NO_WORD_INDEX in str(error):
        return StateError("cannot index words: the SQLite of this Python has no FTS5", hint=OTHER_PYTHON)
    if "no such table" in str(error):
        return StateError(f"{path} holds nothing yet", hint="patina sync")
    if isinstance(error, sqlite3.OperationalError) and "malformed" not in str(error):
        return StateError(f"{path} cannot be used: {error}", hint="patina doctor")
    return LogDamaged(f"{path} is damaged: {error}", hint="patina sync")
