"""Checks that patina wrote a database: its schema on opening, its rows if they may be damaged.

A state folder may come from an archive of unknown origin, or be on a failing disk. A view or a trigger in it
would run with every query, and a value of another type would cause a TypeError far from here.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterable, Mapping

_OIDS = {
    "commits": ("oid",),
    "document": ("oid",),
    "left_out": ("oid",),
    "source": ("oid",),
    "tip": ("oid", "target"),
}
"""Columns whose values are arguments of git."""
_TYPES = {"INTEGER": ("integer",), "TEXT": ("text",), "BLOB": ("blob",), "REAL": ("real", "integer")}
_SPACE = re.compile(r"\s+")


def schema_problem(
    connection: sqlite3.Connection, expected: Mapping[str, str], *, complete: bool = False
) -> str:
    """Describe how a database differs from a schema, "" if it does not.

    Args:
        connection: to the database.
        expected: name of a table or index -> the statement that creates it.
        complete: require all of them; otherwise only those that exist must be equal.
    """
    rows = connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
    for kind, name, sql in rows:
        if kind in ("view", "trigger") or (expected and kind == "index" and sql and name not in expected):
            return f"{kind} {name} is not patina's"
    present = {name: _plain(sql) for _, name, sql in rows if sql}
    for name, statement in expected.items():
        if complete and name not in present:
            return f"{name} is missing"
        if present.get(name, _plain(statement)) != _plain(statement):
            return f"{name} has another shape"
    return ""


def content_problem(connection: sqlite3.Connection, tables: Iterable[str]) -> str:
    """Describe the first value of another type than its column's, "" if there is none.

    Reads every row of these tables.
    """
    for table in tables:
        columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
        conditions = [_has_other_type(name, kind, required) for _, name, kind, required, _, _ in columns]
        conditions += [_is_not_oid(name) for name in _OIDS.get(table, ())]
        query = f"SELECT 1 FROM {table} WHERE {' OR '.join(conditions)} LIMIT 1"
        if connection.execute(query).fetchone():
            return f"{table} holds a value of another type"
    for (fields,) in connection.execute("SELECT fields FROM source WHERE fields != '{}'"):
        if not _is_text_by_text(fields):
            return "source holds fields that cannot be read"
    return ""


def _plain(sql: object) -> str:
    return _SPACE.sub(" ", str(sql)).replace("IF NOT EXISTS ", "").strip().rstrip("; ")


def _has_other_type(name: str, kind: str, required: int) -> str:
    types = _TYPES.get(kind.upper(), ()) + (() if required else ("null",))
    listed = ", ".join(f"'{name}'" for name in types)
    return f'typeof("{name}") NOT IN ({listed})'


def _is_not_oid(name: str) -> str:
    return f"({name} IS NOT NULL AND ({name} GLOB '*[^0-9a-f]*' OR length({name}) NOT IN (40, 64)))"


def _is_text_by_text(text: str) -> bool:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(fields, dict) and all(isinstance(value, str) for value in fields.values())
