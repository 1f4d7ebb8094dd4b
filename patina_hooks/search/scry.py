"""Scry: a question, answered by the best observation of each session or commit, with why and where.

A unit is what competes: a session, with its document and the commits that belong to it, or a commit that
belongs to none. Each channel scores a unit by the best thing it has there; summing over a unit's
observations would reward length (measured: 0.28 against 0.85 MRR@10).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from heapq import nsmallest
from itertools import islice
from typing import NamedTuple

from patina_hooks.search.duplicates import Duplicates, Saying, group_duplicates, read_sayings
from patina_hooks.search.filters.filters import Allowed
from patina_hooks.search.fusion import WEIGHTS, fuse
from patina_hooks.search.lexical import Words, terms_of
from patina_hooks.search.query import Hit, Query
from patina_hooks.search.remarks.closeness import LOOKED_AT, Closeness, coverage
from patina_hooks.store.corpus.sessions import SESSION_OF_COMMIT

Nearest = Callable[[int, "frozenset[bytes] | None"], "list[tuple[bytes, float]]"]
"""(limit, allowed text keys or None for all) -> (text key, inner product), best first."""

_CANDIDATES = 200
_COMPARED = 100
"""Result groups, the best ones, that are looked at for duplicates, at least."""
_PLACES_OF_A_TEXT = 50
_Row = tuple[int, bytes, float, int]
_PLACES = "FROM observation o JOIN source s ON s.id = o.source_id JOIN document d ON d.oid = s.oid"


class _Candidate(NamedTuple):
    """One live observation: what decides whether it is shown. There are hundreds a question, and a tuple is
    made in a tenth of a dataclass's time. key: its content's hash, by which ties are decided."""

    number: int
    key: bytes
    weight: float
    unit: tuple[str, str]


@dataclass(slots=True)
class _Evidence:
    """What the channels found: unit -> score by channel, and the observations to show.

    found: rows of observations, by id, that a channel has read on its way.
    """

    channels: dict[str, dict[tuple[str, str], float]] = field(default_factory=dict)
    observations: dict[str, dict[int, float]] = field(default_factory=dict)
    candidates: dict[int, _Candidate] = field(default_factory=dict)
    found: dict[int, _Row] = field(default_factory=dict)

    def found_by(self, unit: tuple[str, str]) -> list[str]:
        """The channels that found a unit, in the order of the weights."""
        return [name for name in WEIGHTS if unit in self.channels.get(name, ())]

    def add(self, channel: str, unit: tuple[str, str], score: float) -> None:
        scores = self.channels.setdefault(channel, {})
        scores[unit] = max(score, scores.get(unit, score))


def scry(
    connection: sqlite3.Connection,
    query: Query,
    allowed: Allowed,
    nearest: Nearest | None,
    weights: Mapping[str, float] = WEIGHTS,
    units: Units | None = None,
) -> tuple[list[Hit], Closeness]:
    """Return the best hits, best first, and what tells how close they come to the question.

    nearest: asks the vector index, None to do without; weights: by channel; units: those of the last question
    on this connection.
    """
    evidence = _Evidence()
    if query.mode != "vector":
        _ask_words(connection, query, allowed, evidence)
    if query.mode != "lexical" and nearest is not None:
        _ask_vectors(connection, allowed, evidence, nearest)
    units = units or Units()
    _score_units(connection, evidence, units)
    scores = fuse(evidence.channels, weights)
    shown = _best_of_each(evidence, weights)
    best = sorted(scores, key=lambda unit: (-scores[unit], unit))
    compared = best[: max(_COMPARED, 4 * query.limit)]
    sayings = read_sayings(connection, {unit: shown[unit].number for unit in compared if unit in shown})
    hits = (
        _hit(connection, group, sayings, scores[group.best], evidence, shown, allowed, units)
        for group in group_duplicates(best, sayings)
    )
    shown_hits = list(islice((hit for hit in hits if hit is not None), query.limit))
    return shown_hits, _closeness(connection, query.text, evidence)


def _closeness(connection: sqlite3.Connection, text: str, evidence: _Evidence) -> Closeness:
    """Compare the question with the best texts that words and vectors found."""
    numbers = [
        number
        for scores in evidence.observations.values()
        for number in nsmallest(LOOKED_AT, scores, key=lambda number: (-scores[number], number))
    ]
    rows = connection.execute(
        "SELECT text FROM observation WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(numbers),)
    )
    words = Words(connection, text)
    similarity = max(evidence.observations.get("vector", {}).values(), default=None)
    share = coverage(words.counts(), words.total(), [terms_of(row[0]) for row in rows])
    return Closeness(similarity, share, words.total())


def _ask_words(connection: sqlite3.Connection, query: Query, allowed: Allowed, evidence: _Evidence) -> None:
    words = Words(connection, query.text)
    evidence.observations["observation"] = dict(words.observations(_CANDIDATES, allowed))
    for channel, column in (("session", "body"), ("title", "title")):
        found = dict(words.sessions(column, _CANDIDATES))
        for document, path, session in connection.execute(
            "SELECT id, path, session FROM document WHERE id IN (SELECT value FROM json_each(?))",
            (json.dumps(list(found)),),
        ):
            evidence.add(channel, _unit("session", "", path, session), found[document])


def _ask_vectors(
    connection: sqlite3.Connection, allowed: Allowed, evidence: _Evidence, nearest: Nearest
) -> None:
    def keep(rows: list[tuple[bytes, float]]) -> list[tuple[bytes, float]]:
        texts = allowed.texts_among([key for key, _ in rows])
        return [row for row in rows if row[0] in texts]

    near = allowed.best(
        lambda limit: nearest(limit, None),
        keep,
        lambda: nearest(_CANDIDATES, allowed.text_keys()),
        _CANDIDATES,
    )
    clause, values = allowed.clause()
    statement = (
        "SELECT o.id, o.key, o.weight, o.source_id FROM observation o"
        f" WHERE o.text_key = ? AND o.live{clause} ORDER BY o.key LIMIT {_PLACES_OF_A_TEXT}"
    )
    scores: dict[int, float] = {}
    for text, score in near:
        for row in connection.execute(statement, (text, *values)):
            scores[row[0]] = score
            evidence.found[row[0]] = row
    evidence.observations["vector"] = scores


def _score_units(connection: sqlite3.Connection, evidence: _Evidence, units: Units) -> None:
    """Give each unit, in each channel of observations, the score of its best one."""
    numbers = {number for scores in evidence.observations.values() for number in scores}
    for candidate in _candidates(connection, numbers, evidence.found, units):
        evidence.candidates[candidate.number] = candidate
        for channel, scores in evidence.observations.items():
            if candidate.number in scores:
                evidence.add(channel, candidate.unit, scores[candidate.number])


def _candidates(
    connection: sqlite3.Connection, numbers: Iterable[int], known: Mapping[int, _Row], units: Units
) -> list[_Candidate]:
    """known: rows that were read already."""
    unread = [number for number in numbers if number not in known]
    rows: list[_Row] = connection.execute(
        "SELECT id, key, weight, source_id FROM observation WHERE id IN (SELECT value FROM json_each(?))",
        (json.dumps(unread),),
    ).fetchall()
    rows += known.values()
    of = units.of(connection, {row[3] for row in rows})
    return [_Candidate(number, key, weight, of[source]) for number, key, weight, source in rows]


class Units:
    """Which unit each source belongs to; what one question asked is known to the next, until the log changes.

    For one connection, which writes nothing.
    """

    def __init__(self) -> None:
        self._version = -1
        self._known: dict[int, tuple[str, str]] = {}

    def of(self, connection: sqlite3.Connection, sources: set[int]) -> Mapping[int, tuple[str, str]]:
        """The unit of each source in its first place: what a ref holds before drafts, then by path."""
        version = int(connection.execute("PRAGMA data_version").fetchone()[0])
        if version != self._version:
            self._version, self._known = version, {}
        rows = connection.execute(
            f"SELECT s.id, d.kind, d.oid, d.path, coalesce(d.session, {SESSION_OF_COMMIT})"
            " FROM source s JOIN document d ON d.oid = s.oid LEFT JOIN commits c ON c.oid = d.oid"
            " WHERE s.id IN (SELECT value FROM json_each(?)) ORDER BY d.work_tree DESC, d.path DESC",
            (json.dumps(list(sources - self._known.keys())),),
        )
        self._known |= {source: _unit(*place) for source, *place in rows}
        return self._known


def _unit(kind: str, oid: str, path: str, session: str | None) -> tuple[str, str]:
    """("session", id), ("commit", oid) or ("document", path): what competes for a place in the list."""
    if session:
        return ("session", session)
    return ("commit", oid) if kind == "commit" else ("document", path)


def _hit(
    connection: sqlite3.Connection,
    group: Duplicates,
    sayings: Mapping[tuple[str, str], Saying],
    score: float,
    evidence: _Evidence,
    best: Mapping[tuple[str, str], _Candidate],
    allowed: Allowed,
    units: Units,
) -> Hit | None:
    """Return the hit of one group: its best observation, None where the filters leave it none."""
    unit = group.original(sayings)
    shown = best.get(unit) or _first(connection, unit, allowed, units)
    if shown is None:
        return None
    others = sorted(
        (sayings[other] for other in group.units if other != unit and other[0] == "commit"),
        key=lambda saying: (saying.committed, saying.oid),
    )
    session = unit[1] if unit[0] == "session" else None
    kind, text, line, oid, path, document, draft = connection.execute(
        "SELECT o.kind, o.text, o.line, d.oid, d.path, d.kind, d.work_tree != ''"
        f" {_PLACES} WHERE o.id = ? ORDER BY d.work_tree, d.path LIMIT 1",
        (shown.number,),
    ).fetchone()
    commit = oid if document == "commit" else None
    title, when = _about(connection, session, commit)
    return Hit(
        session=session,
        title=title,
        commit=commit,
        path=path or None,
        line=line,
        kind=kind,
        text=text,
        score=score,
        channels={name: evidence.channels[name][group.best] for name in evidence.found_by(group.best)},
        when=when,
        draft=bool(draft),
        also=len(others),
        also_commits=tuple(saying.oid for saying in others),
    )


def _best_of_each(evidence: _Evidence, weights: Mapping[str, float]) -> dict[tuple[str, str], _Candidate]:
    """The observation to show of each unit; a commit's body is weaker evidence than its subject."""
    scores = fuse(evidence.observations, weights)
    ranked = sorted(
        evidence.candidates.values(), key=lambda one: (scores[one.number] * one.weight, one.key), reverse=True
    )
    return {one.unit: one for one in reversed(ranked)}


def _first(
    connection: sqlite3.Connection, unit: tuple[str, str], allowed: Allowed, units: Units
) -> _Candidate | None:
    """A unit that only its title or the whole document found: show where it begins."""
    column = "session" if unit[0] == "session" else "path"
    if not allowed.may_have(*((unit[1], "") if column == "session" else (None, unit[1]))):
        return None
    clause, values = allowed.clause()
    row = connection.execute(
        "SELECT o.id FROM document d CROSS JOIN source s ON s.oid = d.oid"
        " CROSS JOIN observation o ON o.source_id = s.id"
        f" WHERE d.{column} = ? AND d.path != '' AND o.live{clause}"
        " ORDER BY o.kind != 'goal', o.line, o.key LIMIT 1",
        (unit[1], *values),
    ).fetchone()
    return _candidates(connection, [row[0]], {}, units)[0] if row else None


def _about(connection: sqlite3.Connection, session: str | None, commit: str | None) -> tuple[str, int | None]:
    row = connection.execute("SELECT title, started FROM session WHERE id = ?", (session,)).fetchone()
    title, started = row or ("", None)
    if commit:
        committed = connection.execute("SELECT committed FROM commits WHERE oid = ?", (commit,)).fetchone()
        return title, int(committed[0]) if committed else started
    return title, started
