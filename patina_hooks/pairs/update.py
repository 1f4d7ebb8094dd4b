"""Pairs in the log, kept session by session: what a sync touched is generated anew, the rest stays."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from patina_hooks.plugins import Plugins, open_callable
from patina_hooks.types import Fault, Observation, Pair, Recorded, SessionUnit

_SESSION_CAP = 20_000


@dataclass(frozen=True, slots=True)
class ShownPair:
    """A pair for eyes: its texts instead of ids."""

    kind: str
    session: str
    anchor: str
    positive: str
    weight: float
    evidence: str


def update_pairs(
    connection: sqlite3.Connection, plugins: Plugins, sessions: Iterable[str]
) -> tuple[list[Pair], list[Fault]]:
    """Generate the pairs of these sessions anew; gives those that were not there before, and faults."""
    new: list[Pair] = []
    faults: list[Fault] = []
    for session in sessions:
        old = set(pairs_of(connection, session))
        made = list(_generate(plugins, _unit(connection, session), faults))
        connection.execute("DELETE FROM pair WHERE session = ?", (session,))
        connection.executemany(
            "INSERT INTO pair (generator, session, kind, anchor, positive, negative, weight, evidence)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [_row(generator, session, pair) for generator, pair in made],
        )
        new += [pair for _, pair in made if pair not in old]
    return new, faults


def pairs_of(connection: sqlite3.Connection, session: str) -> Iterator[Pair]:
    """The stored pairs of one session."""
    for kind, anchor, positive, negative, weight, evidence in connection.execute(
        "SELECT kind, anchor, positive, negative, weight, evidence FROM pair WHERE session = ?", (session,)
    ):
        yield Pair(kind, anchor.hex(), positive.hex(), negative.hex() if negative else None, weight, evidence)


def shown_pairs(connection: sqlite3.Connection, kind: str | None, limit: int) -> list[ShownPair]:
    """Pairs with their texts, newest session first."""
    rows = connection.execute(
        "SELECT p.kind, p.session, (SELECT text FROM observation WHERE key = p.anchor),"
        " (SELECT text FROM observation WHERE key = p.positive), p.weight, p.evidence FROM pair p"
        " WHERE ? IN ('', p.kind) ORDER BY p.session DESC, p.kind, p.anchor, p.positive LIMIT ?",
        (kind or "", limit),
    )
    return [ShownPair(*row) for row in rows]


def signature(plugins: Plugins) -> str:
    """Changes when any generator in force, or its version, does."""
    return " ".join(f"{spec.name}@{spec.version}" for spec in plugins.pair_generators())


def _generate(plugins: Plugins, unit: SessionUnit, faults: list[Fault]) -> Iterator[tuple[str, Pair]]:
    known = {one.id for one in (*unit.document, *(one for _, found in unit.commits for one in found))}
    for spec in plugins.pair_generators():
        try:
            # A generator of somebody else's may go on for ever, and give what is no pair.
            made = dict.fromkeys(islice(open_callable(spec.generate)(unit), _SESSION_CAP))
            for pair in made:
                _check(pair, known)
            yield from ((spec.name, pair) for pair in made)
        except (Exception, SystemExit) as error:
            faults.append(Fault(spec.name, f"session {unit.id}", f"{type(error).__name__}: {error}"))


def _check(pair: object, known: set[str]) -> None:
    if not isinstance(pair, Pair):
        raise TypeError(f"gave a value of type {type(pair).__name__}; wants Pair")
    if not {pair.anchor, pair.positive} <= known:
        raise ValueError("gave a pair of observations that the session does not have")
    texts = (pair.kind, pair.evidence, bytes.fromhex(pair.negative or "").hex())
    if not all(isinstance(text, str) for text in texts) or not isinstance(pair.weight, (int, float)):
        raise TypeError("gave a pair whose kind, evidence or weight is none")


def _unit(connection: sqlite3.Connection, session: str) -> SessionUnit:
    """Drafts are left out: a pair rests on what a ref holds."""
    documents = connection.execute(
        "SELECT oid, path FROM document WHERE session = ? AND work_tree = '' ORDER BY path, oid", (session,)
    ).fetchall()
    commits = connection.execute(
        "SELECT c.oid FROM session_commit sc JOIN commits c ON c.id = sc.commit_id WHERE sc.session = ?"
        " ORDER BY c.committed, c.oid",
        (session,),
    ).fetchall()
    return SessionUnit(
        id=session,
        document=tuple(one for oid, path in documents for one in _live(connection, oid, path, session, None)),
        commits=tuple((oid, tuple(_live(connection, oid, oid, session, oid))) for (oid,) in commits),
    )


def _live(
    connection: sqlite3.Connection, oid: str, document: str, session: str, commit: str | None
) -> Iterator[Recorded]:
    for key, kind, text, line, section, weight in connection.execute(
        "SELECT o.key, o.kind, o.text, o.line, o.section, o.weight FROM source s"
        " JOIN observation o ON o.source_id = s.id WHERE s.oid = ? AND o.live ORDER BY o.line, o.key",
        (oid,),
    ):
        yield Recorded(key.hex(), Observation(kind, text, line, section, weight), document, session, commit)


def _row(generator: str, session: str, pair: Pair) -> tuple[object, ...]:
    negative = bytes.fromhex(pair.negative) if pair.negative else None
    anchor, positive = bytes.fromhex(pair.anchor), bytes.fromhex(pair.positive)
    return (generator, session, pair.kind, anchor, positive, negative, pair.weight, pair.evidence)
