"""Stored pairs, read: for eyes, for status, and for training.

Units that are stale are left out: what their pairs name may have gone, until the next sync has seen to it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from heapq import merge

from patina_hooks.corpus.observations import text_key
from patina_hooks.pairs.members import path_text
from patina_hooks.pairs.update import SCOPE_KINDS, fill_evidence
from patina_hooks.store.pairs.pairs import (
    read_first_changes,
    read_pair_members,
    read_pair_texts,
    read_time_range,
)
from patina_hooks.store.pairs.scopes import DatedScope, read_dated_scopes
from patina_hooks.store.pairs.totals import read_totals


@dataclass(frozen=True, slots=True)
class ShownPair:
    """A pair for eyes: texts, or paths, instead of ids.

    session: the id where its scope is a session, else None.
    commit: the id where its scope is a commit, or whose message is the anchor.
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
    scope: what it is from: "session <id>", "commit <oid>" or "module <folder>".
    session: the session whose scope it is, or that the scope's commit belongs to; None for a folder.
    moment: seconds since 1970 from which on it was there to be learned: the session's start, the commit's
        time; for a pair of a folder, when the younger of the two paths was first changed.
    """

    kind: str
    scope: str
    anchor: bytes
    positive: bytes
    weight: float
    session: str | None
    moment: int
    anchor_path: str | None
    positive_path: str | None


def training_pairs(connection: sqlite3.Connection, kinds: Collection[str]) -> list[TrainingPair]:
    """All pairs of these kinds in canonical order, which the order of arrival has no part in: by kind, scope
    and text keys."""
    scopes = {scope.id: scope for kind in SCOPE_KINDS for scope in read_dated_scopes(connection, kind)}
    born, key_of = read_first_changes(connection), cache(lambda path: text_key(path_text(path)))
    found: list[TrainingPair] = []
    names = {scope.id: f"{scope.kind} {scope.name}" for scope in scopes.values()}
    same: dict[bytes, bytes] = {}  # one text is in many pairs: its key is kept once
    rows = read_pair_members(connection, kinds)
    for kind, number, anchor, positive, weight, own, other, path, near in rows:
        scope = scopes.get(number)
        if scope is not None:
            left, right = own or key_of(path), other or key_of(near)
            moment = max(born[-anchor], born[-positive]) if scope.kind == "module" else scope.until
            found.append(
                TrainingPair(
                    kind, names[number], same.setdefault(left, left), same.setdefault(right, right), weight,
                    scope.session, moment, path, near,
                )
            )  # fmt: skip
    found.sort(key=lambda one: (one.kind, one.scope, one.anchor, one.positive, one.weight))
    return found


def shown_pairs(connection: sqlite3.Connection, kind: str | None, limit: int) -> list[ShownPair]:
    """Pairs with their texts, those of the newest units first."""
    kinds = sorted({t.scope_kind for t in read_totals(connection) if kind in (None, t.name)})
    shown: list[ShownPair] = []
    newest_first = merge(
        *(read_dated_scopes(connection, scope_kind) for scope_kind in kinds),
        key=lambda scope: (-scope.until, scope.kind, scope.name),
    )
    for scope in newest_first:
        shown += _shown(connection, scope, kind or "")
        if len(shown) >= limit:
            break
    return shown[:limit]


def pair_kinds(connection: sqlite3.Connection) -> dict[str, PairKind]:
    """Counts, weights and time range of each kind of pairs, the most frequent first."""
    kinds: dict[str, PairKind] = {}
    for total in read_totals(connection):
        since, until = read_time_range(connection, total.generator, total.kind, total.scope_kind)
        before = kinds.get(total.name, PairKind(0, 0.0, since, until))
        kinds[total.name] = PairKind(
            before.count + total.pairs,
            before.weight + total.weight,
            min(before.since, since),
            max(before.until, until),
        )
    rounded = {kind: PairKind(k.count, round(k.weight, 3), k.since, k.until) for kind, k in kinds.items()}
    return dict(sorted(rounded.items(), key=lambda item: (-item[1].count, item[0])))


def _shown(connection: sqlite3.Connection, scope: DatedScope, kind: str) -> list[ShownPair]:
    session = scope.name if scope.kind == "session" else None
    commit = scope.name if scope.kind == "commit" else None
    return [
        ShownPair(
            pair.kind, session, commit or pair.commit, pair.anchor, pair.positive, pair.negative, pair.weight,
            pair.evidence
            or fill_evidence(pair.generator_evidence, scope.kind, scope.name, commit or pair.commit),
        )
        for pair in read_pair_texts(connection, scope.id, kind)
    ]  # fmt: skip
