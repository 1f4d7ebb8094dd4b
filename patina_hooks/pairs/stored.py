"""Read stored pairs for display, status and training.

Stale scopes are skipped: members of their pairs may be deleted until the next sync.
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
    """A pair to display, with texts or paths instead of ids.

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
    """The pairs of one kind.

    weight: the sum of their weights.
    since, until: start of the first and last session, commit or folder with pairs, seconds since 1970.
    """

    count: int
    weight: float
    since: int
    until: int


@dataclass(frozen=True, slots=True)
class TrainingPair:
    """A pair for training.

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
    """Return all pairs of these kinds, sorted by kind, scope and text keys."""
    scopes = {scope.id: scope for kind in SCOPE_KINDS for scope in read_dated_scopes(connection, kind)}
    first_changes = read_first_changes(connection)
    key_of = cache(lambda path: text_key(path_text(path)))
    pairs: list[TrainingPair] = []
    names = {scope.id: f"{scope.kind} {scope.name}" for scope in scopes.values()}
    shared_keys: dict[bytes, bytes] = {}  # a text is in many pairs: they share one key
    rows = read_pair_members(connection, kinds)
    for kind, number, anchor, positive, weight, anchor_key, positive_key, anchor_path, positive_path in rows:
        scope = scopes.get(number)
        if scope is not None:
            left, right = anchor_key or key_of(anchor_path), positive_key or key_of(positive_path)
            moment = (
                max(first_changes[-anchor], first_changes[-positive])
                if scope.kind == "module"
                else scope.until
            )
            pairs.append(
                TrainingPair(
                    kind, names[number], shared_keys.setdefault(left, left),
                    shared_keys.setdefault(right, right), weight, scope.session, moment,
                    anchor_path, positive_path,
                )
            )  # fmt: skip
    pairs.sort(key=lambda pair: (pair.kind, pair.scope, pair.anchor, pair.positive, pair.weight))
    return pairs


def shown_pairs(connection: sqlite3.Connection, kind: str | None, limit: int) -> list[ShownPair]:
    """Pairs with their texts, those of the newest units first."""
    kinds = sorted({total.scope_kind for total in read_totals(connection) if kind in (None, total.name)})
    pairs: list[ShownPair] = []
    newest_first = merge(
        *(read_dated_scopes(connection, scope_kind) for scope_kind in kinds),
        key=lambda scope: (-scope.until, scope.kind, scope.name),
    )
    for scope in newest_first:
        pairs += _shown(connection, scope, kind or "")
        if len(pairs) >= limit:
            break
    return pairs[:limit]


def pair_kinds(connection: sqlite3.Connection) -> dict[str, PairKind]:
    """Return counts, weights and time range of each kind of pairs, the most frequent first."""
    kinds: dict[str, PairKind] = {}
    for total in read_totals(connection):
        since, until = read_time_range(connection, total.generator, total.kind, total.scope_kind)
        counted = kinds.get(total.name, PairKind(0, 0.0, since, until))
        kinds[total.name] = PairKind(
            counted.count + total.pairs,
            counted.weight + total.weight,
            min(counted.since, since),
            max(counted.until, until),
        )
    rounded = {
        name: PairKind(kind.count, round(kind.weight, 3), kind.since, kind.until)
        for name, kind in kinds.items()
    }
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
