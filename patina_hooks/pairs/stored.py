"""Stored pairs, read: for eyes, for status, and for training.

Units that are stale are left out: what their pairs name may have gone, until the next sync has seen to it.
"""

from __future__ import annotations

import sqlite3
import time
from calendar import timegm
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from heapq import merge
from typing import Final

from patina_hooks.corpus.observations import text_key
from patina_hooks.pairs.sides import path_text
from patina_hooks.pairs.totals import read_totals
from patina_hooks.pairs.update import said_evidence
from patina_hooks.specs.plugins import PairUnitKind
from patina_hooks.store.corpus.sessions import SESSION_OF_COMMIT


@dataclass(frozen=True, slots=True)
class ShownPair:
    """A pair for eyes: texts, or paths, instead of ids.

    session: whose unit it is from, else None. commit: whose unit it is from, or whose message is the anchor.
    """

    kind: str
    session: str | None
    commit: str | None
    anchor: str
    positive: str
    negative: str | None
    weight: float
    evidence: str


@dataclass(frozen=True, slots=True)
class PairKind:
    """The pairs of one kind. weight: their sum. since, until: when the first and the last of the sessions,
    commits and folders that they are from were begun; seconds since 1970."""

    count: int
    weight: float
    since: int
    until: int


@dataclass(frozen=True, slots=True)
class TrainingPair:
    """A pair as training reads it.

    anchor, positive: text keys (16 bytes, see `patina_hooks.corpus.observations.text_key`), under which
        embeddings are cached. That of a path is the key of its `path_text`.
    anchor_path, positive_path: the path where that side is one, else None.
    unit: what it is from: "session <id>", "commit <oid>" or "module <folder>".
    session: the session whose unit it is, or that the unit's commit belongs to; None for a folder.
    moment: seconds since 1970 from which on it was there to be learned: the session's start, the commit's
        time; for a pair of a folder, when the younger of the two paths was first changed.
    """

    kind: str
    unit: str
    anchor: bytes
    positive: bytes
    weight: float
    session: str | None
    moment: int
    anchor_path: str | None
    positive_path: str | None


def training_pairs(connection: sqlite3.Connection, kinds: Collection[str]) -> list[TrainingPair]:
    """All pairs of these kinds in canonical order, which the order of arrival has no part in: by kind, unit
    and text keys."""
    units = {unit.number: unit for unit in _units(connection)}
    born, key_of = _born(connection), cache(lambda path: text_key(path_text(path)))
    marks = ", ".join("?" * len(kinds))
    rows = connection.execute(
        f"SELECT {_KIND} AS named, p.unit_id, p.anchor, p.positive, p.weight, a.text_key, b.text_key, v.path,"
        f" w.path FROM pair p JOIN generator g ON g.id = p.generator_id {_SIDES} WHERE named IN ({marks})",
        tuple(kinds),
    )
    found: list[TrainingPair] = []
    names = {unit.number: f"{unit.reads} {unit.name}" for unit in units.values()}
    same: dict[bytes, bytes] = {}  # one text is in many pairs: its key is kept once
    for kind, number, anchor, positive, weight, own, other, path, near in rows:
        unit = units.get(number)
        if unit is not None:
            left, right = own or key_of(path), other or key_of(near)
            moment = max(born[-anchor], born[-positive]) if unit.reads == "module" else unit.until
            found.append(
                TrainingPair(
                    kind, names[number], same.setdefault(left, left), same.setdefault(right, right), weight,
                    unit.session, moment, path, near,
                )
            )  # fmt: skip
    found.sort(key=lambda one: (one.kind, one.unit, one.anchor, one.positive, one.weight))
    return found


def shown_pairs(connection: sqlite3.Connection, kind: str | None, limit: int) -> list[ShownPair]:
    """Pairs with their texts, those of the newest units first."""
    kinds = _unit_kinds(connection, kind)
    shown: list[ShownPair] = []
    newest_first = merge(
        *(_UNITS[reads](connection) for reads in kinds),
        key=lambda unit: (-unit.until, unit.reads, unit.name),
    )
    for unit in newest_first:
        shown += _shown(connection, unit, kind or "")
        if len(shown) >= limit:
            break
    return shown[:limit]


def _unit_kinds(connection: sqlite3.Connection, kind: str | None) -> list[PairUnitKind]:
    """Return what the pairs of a kind are made of, or all pairs."""
    return sorted({reads for *_, named, reads, _, _ in read_totals(connection) if kind in (None, named)})


def pair_kinds(connection: sqlite3.Connection) -> dict[str, PairKind]:
    """Counts, weights and time range of each kind of pairs, the most frequent first."""
    kinds: dict[str, PairKind] = {}
    for generator, kind, named, reads, count, weight in read_totals(connection):
        since, until = _time_range(connection, generator, kind, reads)
        before = kinds.get(named, PairKind(0, 0.0, since, until))
        kinds[named] = PairKind(
            before.count + count, before.weight + weight, min(before.since, since), max(before.until, until)
        )
    rounded = {kind: PairKind(k.count, round(k.weight, 3), k.since, k.until) for kind, k in kinds.items()}
    return dict(sorted(rounded.items(), key=lambda item: (-item[1].count, item[0])))


def _time_range(
    connection: sqlite3.Connection, generator: int, kind: str, reads: PairUnitKind
) -> tuple[int, int]:
    """Return when the first and the last unit with pairs of a kind was begun, walking from either end."""
    has_pairs = "EXISTS (SELECT 1 FROM pair p WHERE p.unit_id = u.id AND p.generator_id = ? AND p.kind = ?)"
    if reads == "session":
        undated = connection.execute(
            "SELECT u.name FROM session s CROSS JOIN unit u ON u.reads = 'session' AND u.name = s.id"
            f" WHERE s.started IS NULL AND {has_pairs}",
            (generator, kind),
        )
        moments = [_moment_of_session(connection, name) for (name,) in undated]
    else:
        moments = []
    column, rows = _BY_TIME[reads]
    for order in ("", "DESC"):
        row = connection.execute(
            f"SELECT {column} FROM {rows} AND {has_pairs} ORDER BY 1 {order} LIMIT 1", (generator, kind)
        ).fetchone()
        moments += [int(row[0])] if row else []
    return min(moments, default=0), max(moments, default=0)


_BY_TIME: Final = {
    "session": (
        "s.started",
        "session s CROSS JOIN unit u ON u.reads = 'session' AND u.name = s.id WHERE s.started IS NOT NULL",
    ),
    "commit": (
        "c.committed",
        "commits c CROSS JOIN unit u ON u.reads = 'commit' AND u.name = c.oid WHERE c.committed IS NOT NULL",
    ),
    "module": (
        "p.born",
        "path p CROSS JOIN unit u ON u.reads = 'module' AND u.name = p.folder WHERE p.born IS NOT NULL",
    ),
}


_KIND = "coalesce(nullif(p.kind, ''), g.name)"
_SIDES = (
    "LEFT JOIN observation a ON a.id = p.anchor LEFT JOIN observation b ON b.id = p.positive"
    " LEFT JOIN path v ON v.id = -p.anchor LEFT JOIN path w ON w.id = -p.positive"
)


@dataclass(frozen=True, slots=True)
class _Unit:
    """since, until: its time, or those of its oldest and youngest path. session: see `TrainingPair`."""

    number: int
    reads: PairUnitKind
    name: str
    since: int
    until: int
    session: str | None


def _shown(connection: sqlite3.Connection, unit: _Unit, kind: str) -> list[ShownPair]:
    rows = connection.execute(
        f"SELECT {_KIND} AS named, coalesce(a.text, v.path), coalesce(b.text, w.path),"
        " coalesce(c.text, x.path), p.weight, p.evidence, g.evidence, m.oid"
        f" FROM pair p JOIN generator g ON g.id = p.generator_id {_SIDES}"
        " LEFT JOIN observation c ON c.id = p.negative LEFT JOIN path x ON x.id = -p.negative"
        " LEFT JOIN source s ON s.id = a.source_id LEFT JOIN commits m ON m.oid = s.oid"
        " WHERE p.unit_id = ? AND ? IN ('', named) ORDER BY 1, 2, 3, 4, 5, 6",
        (unit.number, kind),
    )
    session = unit.name if unit.reads == "session" else None
    commit = unit.name if unit.reads == "commit" else None
    return [
        ShownPair(
            named, session, commit or of, anchor, positive, negative, weight,
            evidence or said_evidence(said, unit.reads, unit.name, commit or of),
        )
        for named, anchor, positive, negative, weight, evidence, said, of in rows
    ]  # fmt: skip


# --- the time of units ----------------------------------------------------------------------------


def _born(connection: sqlite3.Connection) -> Mapping[int, int]:
    """When each path (by id) was first changed by a live commit."""
    return dict(connection.execute("SELECT id, born FROM path WHERE born IS NOT NULL"))


def _units(connection: sqlite3.Connection) -> Iterator[_Unit]:
    """Every unit that is not stale, with its time."""
    for read in _UNITS.values():
        yield from read(connection)


def _session_units(connection: sqlite3.Connection) -> list[_Unit]:
    names = connection.execute(
        "SELECT u.id, u.name FROM unit u JOIN session s ON s.id = u.name"
        " WHERE u.reads = 'session' AND NOT u.stale"
    )
    moments = [(number, name, _moment_of_session(connection, name)) for number, name in names]
    units = [_Unit(number, "session", name, moment, moment, name) for number, name, moment in moments]
    return sorted(units, key=lambda unit: (-unit.until, unit.name))


def _commit_units(connection: sqlite3.Connection) -> Iterator[_Unit]:
    for number, name, moment, session in connection.execute(
        f"SELECT u.id, u.name, c.committed, {SESSION_OF_COMMIT} FROM commits c"
        " CROSS JOIN unit u ON u.reads = 'commit' AND u.name = c.oid WHERE NOT u.stale"
        " ORDER BY c.committed DESC, c.oid"
    ):
        yield _Unit(number, "commit", name, moment, moment, session)


def _module_units(connection: sqlite3.Connection) -> Iterator[_Unit]:
    for number, name, since, until in connection.execute(
        "SELECT u.id, u.name, min(p.born), max(p.born) FROM unit u JOIN path p ON p.folder = u.name"
        " WHERE u.reads = 'module' AND NOT u.stale AND p.born IS NOT NULL GROUP BY u.id"
        " ORDER BY 4 DESC, u.name"
    ):
        yield _Unit(number, "module", name, since, until, None)


_UNITS: Final[Mapping[PairUnitKind, Callable[[sqlite3.Connection], Iterable[_Unit]]]] = {
    "session": _session_units,
    "commit": _commit_units,
    "module": _module_units,
}
"""What gives the units of each kind that are not stale, the newest first."""


def _moment_of_session(connection: sqlite3.Connection, session: str) -> int:
    """Return when a session was begun; where nothing tells, what its id says, about right."""
    row = connection.execute("SELECT started FROM session WHERE id = ?", (session,)).fetchone()
    if row is None or row[0] is None:
        return timegm(time.strptime(session, "%Y%m%d-%H%M%S"))
    return int(row[0])
