"""Stored pairs, read: for eyes, for status, and for training.

Units that are stale are left out: what their pairs name may have gone, until the next sync has seen to it.
"""

from __future__ import annotations

import sqlite3
import time
from calendar import timegm
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from patina_hooks.corpus.observations import text_key
from patina_hooks.corpus.timeline import SESSION_OF_COMMIT
from patina_hooks.pairs.sides import path_text
from patina_hooks.pairs.update import said_evidence
from patina_hooks.types import PairUnitKind


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
    shown: list[ShownPair] = []
    for unit in sorted(_units(connection), key=lambda unit: (-unit.until, unit.reads, unit.name)):
        shown += _shown(connection, unit, kind or "")
        if len(shown) >= limit:
            break
    return shown[:limit]


def pair_kinds(connection: sqlite3.Connection) -> dict[str, PairKind]:
    """Counts, weights and time range of each kind of pairs, the most frequent first."""
    units = {unit.number: unit for unit in _units(connection)}
    kinds: dict[str, PairKind] = {}
    for kind, number, count, weight in connection.execute(
        f"SELECT {_KIND} AS named, p.unit_id, count(*), sum(p.weight) FROM pair p"
        " JOIN generator g ON g.id = p.generator_id GROUP BY p.unit_id, p.generator_id, p.kind"
    ):
        unit = units.get(number)
        if unit is not None:
            before = kinds.get(kind, PairKind(0, 0.0, unit.since, unit.until))
            kinds[kind] = PairKind(
                before.count + count,
                before.weight + weight,
                min(before.since, unit.since),
                max(before.until, unit.until),
            )
    rounded = {kind: PairKind(k.count, round(k.weight, 3), k.since, k.until) for kind, k in kinds.items()}
    return dict(sorted(rounded.items(), key=lambda item: (-item[1].count, item[0])))


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

_BORN = "SELECT h.path_id, min(c.committed) FROM change h JOIN commits c ON c.id = h.commit_id GROUP BY 1"


def _born(connection: sqlite3.Connection) -> Mapping[int, int]:
    """When each path (by id) was first changed by a live commit."""
    return dict(connection.execute(_BORN))


def _units(connection: sqlite3.Connection) -> Iterator[_Unit]:
    """Every unit that is not stale, with its time."""
    for number, name, started in connection.execute(
        "SELECT u.id, u.name, s.started FROM unit u JOIN session s ON s.id = u.name"
        " WHERE u.reads = 'session' AND NOT u.stale"
    ):
        moment = _dated(name) if started is None else started
        yield _Unit(number, "session", name, moment, moment, name)
    for number, name, moment, session in connection.execute(
        f"SELECT u.id, u.name, c.committed, {SESSION_OF_COMMIT} FROM unit u JOIN commits c ON c.oid = u.name"
        " WHERE u.reads = 'commit' AND NOT u.stale"
    ):
        yield _Unit(number, "commit", name, moment, moment, session)
    for number, name, since, until in connection.execute(
        f"WITH born (path_id, moment) AS ({_BORN})"
        " SELECT u.id, u.name, min(b.moment), max(b.moment) FROM born b JOIN path p ON p.id = b.path_id"
        " JOIN unit u ON u.reads = 'module' AND u.name = p.folder WHERE NOT u.stale GROUP BY u.id"
    ):
        yield _Unit(number, "module", name, since, until, None)


def _dated(session: str) -> int:
    """The time that a session's id tells, in a time zone that it does not: about right."""
    return timegm(time.strptime(session, "%Y%m%d-%H%M%S"))
