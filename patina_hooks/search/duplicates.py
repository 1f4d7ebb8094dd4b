"""Commits that say the same: a merge, a squash and a cherry-pick repeat a subject, and are one answer.

Two result groups are duplicates where one of their texts is the same: the observation that would be shown,
the subject of its commit, or what a merge says of the branch that it merges. Case, list marks, a number in
brackets at the end ("(#12)") and a full stop do not count. Sessions are answers of their own: a commit joins
a session, and a session never joins another one. A revert says another text and stays.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

Unit = tuple[str, str]
"""("session", id), ("commit", oid) or ("document", path)."""

_MARK = re.compile(r"^(?:[*+-]|\d+[.)])\s+")
_NUMBER = re.compile(r"\s*\((?:#|!|gh-)\d+\)$")


@dataclass(frozen=True, slots=True)
class Saying:
    """What a result group would show. texts: in comparable form; is_merge, committed: of its commit."""

    texts: frozenset[str]
    oid: str = ""
    is_merge: bool = False
    committed: int = 0


@dataclass(slots=True)
class Duplicates:
    """Result groups that are one answer, best first."""

    units: list[Unit] = field(default_factory=list)

    @property
    def best(self) -> Unit:
        """The one whose score counts."""
        return self.units[0]

    def original(self, sayings: Mapping[Unit, Saying]) -> Unit:
        """Return the one to show: a session before commits, a change before its merges, the oldest first."""

        def order(unit: Unit) -> tuple[bool, bool, int, Unit]:
            saying = sayings[unit]
            return (unit[0] == "commit", saying.is_merge, saying.committed, unit)

        return min(self.units, key=order) if len(self.units) > 1 else self.best


def group_duplicates(units: Iterable[Unit], sayings: Mapping[Unit, Saying]) -> list[Duplicates]:
    """Group result groups, given best first; a group stands where its best one stood."""
    groups: list[Duplicates] = []
    by_text: dict[str, Duplicates] = {}
    for unit in units:
        texts = sayings[unit].texts if unit in sayings else frozenset()
        group = next((by_text[text] for text in sorted(texts) if text in by_text), None)
        if group is None or (unit[0] == "session" and any(other[0] == "session" for other in group.units)):
            group = Duplicates()
            groups.append(group)
        group.units.append(unit)
        for text in texts:
            by_text.setdefault(text, group)
    return groups


def read_sayings(connection: sqlite3.Connection, shown: Mapping[Unit, int]) -> dict[Unit, Saying]:
    """Return what sessions and commits say by the observation (its id) that each would show."""
    rows = connection.execute(
        "SELECT o.id, o.text, s.oid, c.merge, c.committed, CASE WHEN c.oid IS NOT NULL THEN s.title END,"
        " CASE WHEN c.merge OR s.title LIKE 'Merge %' THEN (SELECT b.text FROM observation b"
        " WHERE b.source_id = s.id AND b.kind = 'body' ORDER BY b.line, b.key LIMIT 1) END"
        " FROM observation o JOIN source s ON s.id = o.source_id LEFT JOIN commits c ON c.oid = s.oid"
        " WHERE o.id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(shown.values())),),
    )
    by_id = {number: Saying(frozenset(_comparable(texts)), oid, bool(merge), committed or 0)
             for number, text, oid, merge, committed, *others in rows
             for texts in [(text, *others)]}  # fmt: skip
    return {unit: by_id[number] for unit, number in shown.items() if number in by_id}


def _comparable(texts: Iterable[str | None]) -> Iterator[str]:
    for text in texts:
        plain = _MARK.sub("", " ".join((text or "").casefold().split()))
        plain = _NUMBER.sub("", plain.rstrip(" .")).rstrip(" .")
        if plain:
            yield plain
