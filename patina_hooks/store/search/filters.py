"""The conditions of a question as SQL, each in two forms: a test of one row, and a walk along an index.

The rows are `o` (observation), `s` (source), `d` (document) and `c` (commits, all NULL for a session
document). Values travel as bound parameters. `temp.allowed` holds the observations that a narrow filter
allows, `temp.reached` and `temp.reached_chain` what a revision reaches.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from patina_hooks.store.corpus.sessions import SESSION_OF_COMMIT

_BEFORE_ALL, _AFTER_ALL = -(1 << 62), 1 << 62


@dataclass(frozen=True, slots=True)
class Condition:
    """One restriction of a question.

    test, test_values: an expression over a row. walk, walk_values: a SELECT of the ids of all live
    observations that meet the condition, which ends in its WHERE clause. index, index_values: a SELECT with
    a row for about each commit or observation that the walk visits, "" where that may be all of them.
    of_observation: whether the test reads `o` only.
    """

    test: str
    test_values: tuple[object, ...]
    walk: str
    walk_values: tuple[object, ...]
    index: str
    index_values: tuple[object, ...]
    of_observation: bool = False


@dataclass(frozen=True, slots=True)
class RowFilter:
    """What restricts a row `o` of `observation`: SQL that begins with AND, "" for nothing, and its values."""

    sql: str = ""
    values: tuple[object, ...] = ()


EVERYTHING: Final = RowFilter()


def row_filter(conditions: Sequence[Condition], *, evaluated: bool) -> RowFilter:
    """Return what restricts a row. evaluated: whether `temp.allowed` holds what the conditions allow."""
    if not conditions:
        return EVERYTHING
    if evaluated:
        return RowFilter(" AND +o.id IN (SELECT id FROM temp.allowed)")
    own = [condition for condition in conditions if condition.of_observation]
    placed = [condition for condition in conditions if not condition.of_observation]
    parts = [condition.test for condition in own]
    if placed:
        tests = " AND ".join(condition.test for condition in placed)
        parts.append(
            "EXISTS (SELECT 1 FROM source s CROSS JOIN document d ON d.oid = s.oid AND d.read_as = s.read_as"
            f" LEFT JOIN commits c ON c.oid = d.oid WHERE s.id = o.source_id AND {tests})"
        )
    return RowFilter(" AND " + " AND ".join(parts), _values([*own, *placed]))


# --- conditions ---------------------------------------------------------------------------------


def _walk(documents: str) -> str:
    return (
        f"SELECT o.id FROM ({documents}) v CROSS JOIN document d ON d.id = v.id"
        " CROSS JOIN source s ON s.oid = d.oid AND s.read_as = d.read_as"
        " CROSS JOIN observation o ON o.source_id = s.id"
        " LEFT JOIN commits c ON c.oid = d.oid WHERE o.live"
    )


def kinds_condition(kinds: tuple[str, ...]) -> Condition:
    """Return the condition that an observation is of one of these kinds."""
    test = f"o.kind IN ({', '.join('?' * len(kinds))})"
    # The plus: a row that is tested is at hand, and the index would lead to all others of its kind.
    walk = (
        "SELECT o.id FROM observation o CROSS JOIN source s ON s.id = o.source_id"
        " CROSS JOIN document d ON d.oid = s.oid AND d.read_as = s.read_as"
        " LEFT JOIN commits c ON c.oid = d.oid"
        f" WHERE o.live AND {test}"
    )
    index = f"SELECT o.id FROM observation o WHERE o.live AND {test}"
    return Condition(f"+{test}", kinds, walk, kinds, index, kinds, of_observation=True)


def field_condition(name: str, value: str) -> Condition:
    """Return the condition that an observation has a field of this value."""
    is_field = "f.name = ? AND f.value = ?"
    index = (
        "SELECT o.id FROM field f CROSS JOIN observation o ON o.id = f.observation_id"
        f" WHERE {is_field} AND o.live"
    )
    walk = (
        "SELECT o.id FROM field f CROSS JOIN observation o ON o.id = f.observation_id"
        " CROSS JOIN source s ON s.id = o.source_id"
        " CROSS JOIN document d ON d.oid = s.oid AND d.read_as = s.read_as"
        f" LEFT JOIN commits c ON c.oid = d.oid WHERE {is_field} AND o.live"
    )
    test = f"EXISTS (SELECT 1 FROM field f WHERE f.observation_id = o.id AND {is_field})"
    values = (name, value)
    return Condition(test, values, walk, values, index, values, of_observation=True)


def session_condition(session: str) -> Condition:
    """Return the condition that a document or commit belongs to a session."""
    documents = (
        "SELECT id FROM document WHERE session = ?"
        " UNION SELECT d.id FROM session_commit m CROSS JOIN commits c ON c.id = m.commit_id"
        f" CROSS JOIN document d ON d.oid = c.oid WHERE m.session = ? AND {SESSION_OF_COMMIT} = ?"
        " UNION SELECT d.id FROM session u CROSS JOIN commits c ON c.committed BETWEEN u.started AND u.ended"
        f" CROSS JOIN document d ON d.oid = c.oid WHERE u.id = ? AND NOT u.ranged AND {SESSION_OF_COMMIT} = ?"
    )
    return Condition(
        test=f"coalesce(d.session, {SESSION_OF_COMMIT}) = ?",
        test_values=(session,),
        walk=_walk(documents),
        walk_values=(session,) * 5,
        index="SELECT 1 FROM session_commit WHERE session = ?",
        index_values=(session,),
    )


_WHEN: Final = (
    "coalesce(c.committed, CASE WHEN d.session IS NULL THEN d.dated"
    " ELSE (SELECT started FROM session WHERE id = d.session) END)"
)
"""NULL for a document without a time; NULL is on neither side of any bound."""


def time_condition(since: int | None, until: int | None) -> Condition:
    """Return the condition that a document or commit is dated in [since, until)."""
    bounds = (_BEFORE_ALL if since is None else since, _AFTER_ALL if until is None else until)
    documents = (
        "SELECT d.id FROM commits c CROSS JOIN document d ON d.oid = c.oid"
        " WHERE c.committed >= ? AND c.committed < ?"
        " UNION ALL SELECT d.id FROM session t CROSS JOIN document d ON d.session = t.id"
        " WHERE t.started >= ? AND t.started < ?"
        " UNION ALL SELECT id FROM document WHERE session IS NULL AND dated >= ? AND dated < ?"
    )
    return Condition(
        test=f"{_WHEN} >= ? AND {_WHEN} < ?",
        test_values=bounds,
        walk=_walk(documents),
        walk_values=bounds * 3,
        index=(
            "SELECT 1 FROM commits WHERE committed >= ? AND committed < ?"
            " UNION ALL SELECT 1 FROM document WHERE dated >= ? AND dated < ?"
        ),
        index_values=bounds * 2,
    )


_IS_UNDER: Final = "(p.path = ? OR (p.path >= ? AND p.path < ?))"
_TOUCHES: Final = f"SELECT h.commit_id FROM path p CROSS JOIN change h ON h.path_id = p.id WHERE {_IS_UNDER}"


def path_condition(path: str) -> Condition:
    """Return the condition that a commit touched a path or what is under it, or is of a session that did."""
    names = (path, f"{path}/", f"{path}0")  # "0" follows "/"
    documents = (
        f"SELECT d.id FROM commits c CROSS JOIN document d ON d.oid = c.oid WHERE c.id IN ({_TOUCHES})"
        " UNION SELECT d.id FROM document d WHERE d.session IN"
        f" (SELECT {SESSION_OF_COMMIT} FROM commits c WHERE c.id IN ({_TOUCHES}))"
    )
    touched = (
        "EXISTS (SELECT 1 FROM change h CROSS JOIN path p ON p.id = h.path_id"
        f" WHERE h.commit_id = c.id AND {_IS_UNDER})"
    )
    of_session = f"{touched} AND {SESSION_OF_COMMIT} = d.session"
    test = (
        f"({touched} OR d.session IS NOT NULL AND (EXISTS (SELECT 1 FROM session_commit m"
        f" CROSS JOIN commits c ON c.id = m.commit_id WHERE m.session = d.session AND {of_session})"
        " OR EXISTS (SELECT 1 FROM session u"
        " CROSS JOIN commits c ON c.committed BETWEEN u.started AND u.ended"
        f" WHERE u.id = d.session AND NOT u.ranged AND {of_session})))"
    )
    return Condition(test, names * 3, _walk(documents), names * 2, _TOUCHES, names)


def document_path_condition(path: str) -> Condition:
    """Return the condition that a document is a file, or lies under a folder."""
    names = (path, f"{path}/", f"{path}0")  # "0" follows "/"
    test = "(d.path = ? OR (d.path >= ? AND d.path < ?))"
    documents = f"SELECT d.id FROM document d WHERE {test}"
    return Condition(test, names, _walk(documents), names, documents, names)


def reached_condition(
    connection: sqlite3.Connection, oids: Iterable[str], reach: Mapping[int, int], *, is_narrow: bool
) -> Condition:
    """Return the condition that a revision reaches a document; fill its tables.

    Args:
        connection: of the log.
        oids: the documents of the revision's tree, and commits that it reaches.
        reach: further commits that it reaches, see `store.corpus.chains.read_reach`.
        is_narrow: whether these are few.
    """
    connection.execute("CREATE TEMP TABLE IF NOT EXISTS reached (oid TEXT PRIMARY KEY) WITHOUT ROWID")
    connection.execute(
        "CREATE TEMP TABLE IF NOT EXISTS reached_chain (chain INTEGER PRIMARY KEY, position INTEGER NOT NULL)"
    )
    connection.execute("DELETE FROM temp.reached")
    connection.execute("DELETE FROM temp.reached_chain")
    connection.executemany("INSERT OR IGNORE INTO temp.reached VALUES (?)", ((oid,) for oid in oids))
    connection.executemany("INSERT INTO temp.reached_chain VALUES (?, ?)", reach.items())
    test = (
        "(d.oid IN (SELECT oid FROM temp.reached) OR"
        " c.position <= (SELECT r.position FROM temp.reached_chain r WHERE r.chain = c.chain))"
    )
    of_chains = (
        "FROM temp.reached_chain r CROSS JOIN commits c ON c.chain = r.chain AND c.position <= r.position"
    )
    documents = (
        "SELECT d.id FROM temp.reached r CROSS JOIN document d ON d.oid = r.oid"
        f" UNION ALL SELECT d.id {of_chains} CROSS JOIN document d ON d.oid = c.oid"
    )
    index = f"SELECT 1 FROM temp.reached UNION ALL SELECT 1 {of_chains}" if is_narrow else ""
    return Condition(test, (), _walk(documents), (), index, ())


# --- what conditions allow ----------------------------------------------------------------------


def count_of_index(connection: sqlite3.Connection, condition: Condition) -> int:
    """Return the number of rows of a condition's index."""
    if not condition.index:
        return count_of_table(connection, condition)
    rows = connection.execute(f"SELECT count(*) FROM ({condition.index})", condition.index_values)
    return int(rows.fetchone()[0])


def count_of_table(connection: sqlite3.Connection, condition: Condition) -> int:
    """Return about how many rows the index of a condition has in all."""
    table = "observation" if condition.of_observation else "commits"
    return int(connection.execute(f"SELECT coalesce(max(id), 0) FROM {table}").fetchone()[0])


def fill_allowed(
    connection: sqlite3.Connection, walked: Condition, tested: Sequence[Condition], most: int | None
) -> bool:
    """Fill `temp.allowed` along one condition's index; return False if more than `most` rows are allowed."""
    tests = "".join(f" AND {condition.test}" for condition in tested)
    walk, values = walked.walk, walked.walk_values
    if walked.of_observation and not tested:
        walk, values = walked.index, walked.index_values
    connection.execute("CREATE TEMP TABLE IF NOT EXISTS allowed (id INTEGER PRIMARY KEY)")
    connection.execute("DELETE FROM temp.allowed")
    rows = connection.execute(
        f"INSERT INTO temp.allowed SELECT DISTINCT id FROM ({walk}{tests} LIMIT ?)",
        (*values, *_values(tested), -1 if most is None else most + 1),
    )
    return most is None or rows.rowcount <= most


def is_allowed(connection: sqlite3.Connection, number: int, only: RowFilter) -> bool:
    """Return whether a live observation passes."""
    statement = f"SELECT 1 FROM observation o WHERE o.id = ? AND o.live{only.sql}"
    return connection.execute(statement, (number, *only.values)).fetchone() is not None


def is_text_allowed(connection: sqlite3.Connection, text: bytes, only: RowFilter) -> bool:
    """Return whether a live observation with a text passes."""
    statement = f"SELECT 1 FROM observation o WHERE o.text_key = ? AND o.live{only.sql} LIMIT 1"
    return connection.execute(statement, (text, *only.values)).fetchone() is not None


def allowed_texts(connection: sqlite3.Connection) -> frozenset[bytes]:
    """Return the texts of the observations in `temp.allowed`."""
    rows = connection.execute(
        "SELECT DISTINCT o.text_key FROM temp.allowed a CROSS JOIN observation o ON o.id = a.id"
    )
    return frozenset(row[0] for row in rows)


def allowed_documents(connection: sqlite3.Connection) -> list[tuple[str | None, str]]:
    """Return (session, path) of each session document with an observation in `temp.allowed`."""
    return connection.execute(
        "SELECT DISTINCT d.session, d.path FROM temp.allowed a"
        " CROSS JOIN observation o ON o.id = a.id CROSS JOIN source s ON s.id = o.source_id"
        " CROSS JOIN document d ON d.oid = s.oid AND d.read_as = s.read_as"
        " WHERE d.path != ''"
    ).fetchall()


# --- what a filter names ------------------------------------------------------------------------


def has_kind(connection: sqlite3.Connection, kind: str) -> bool:
    """Return whether a live observation is of a kind."""
    statement = "SELECT 1 FROM observation WHERE live AND kind = ? LIMIT 1"
    return connection.execute(statement, (kind,)).fetchone() is not None


def read_kinds(connection: sqlite3.Connection) -> list[str]:
    """Return the kinds of live observations."""
    rows = connection.execute("SELECT DISTINCT kind FROM observation WHERE live ORDER BY kind")
    return [row[0] for row in rows]


def has_field(connection: sqlite3.Connection, name: str) -> bool:
    """Return whether a live observation has a field of this name."""
    statement = (
        "SELECT 1 FROM field f CROSS JOIN observation o ON o.id = f.observation_id"
        " WHERE f.name = ? AND o.live LIMIT 1"
    )
    return connection.execute(statement, (name,)).fetchone() is not None


def read_field_names(connection: sqlite3.Connection) -> list[str]:
    """Return the names of the fields of live observations."""
    rows = connection.execute(
        "SELECT DISTINCT f.name FROM field f JOIN observation o ON o.id = f.observation_id AND o.live"
        " ORDER BY f.name"
    )
    return [row[0] for row in rows]


def sessions_with_prefix(connection: sqlite3.Connection, prefix: str) -> list[str]:
    """Return the ids of sessions that begin with a text."""
    statement = "SELECT id FROM session WHERE substr(id, 1, length(?)) = ? ORDER BY id"
    return [str(row[0]) for row in connection.execute(statement, (prefix, prefix))]


def read_uncovered_targets(connection: sqlite3.Connection) -> list[str]:
    """Return the commits of live refs that are not ancestors of other recorded commits."""
    return [row[0] for row in connection.execute("SELECT target FROM tip_tree WHERE NOT covered")]


def read_border(connection: sqlite3.Connection) -> str:
    """Return the digest of the border of a shallow clone at the last look."""
    row = connection.execute("SELECT value FROM fact WHERE name = 'shallow'").fetchone()
    return str(row[0]) if row else ""


def _values(conditions: Iterable[Condition]) -> tuple[object, ...]:
    return tuple(value for condition in conditions for value in condition.test_values)
