"""The built-in pair generators: pure functions of one scope, seeded by its contents.

The cost of each is linear in its scope: a member is paired with a few partners only. Negatives are drawn
from other sessions when a projection is trained; these pairs have none. `patina_hooks.plugins.builtin` has
the evidence of each generator.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import TypeVar

from patina_hooks.pairs.members import path_member
from patina_hooks.specs.plugins import CommitScope, ModuleScope, SessionScope
from patina_hooks.specs.values import Pair, Recorded

T = TypeVar("T")

_SUBSTANCE = ("decision", "pattern", "work", "challenge", "discussion", "note", "next")
_PARTNERS = 4


def same_session(scope: SessionScope) -> Iterator[Pair]:
    """Pair each substantial observation with a few of its session, chosen by a hash of its id."""
    chosen = _select_substantial(scope.document)
    for anchor in chosen:
        yield from _join("same_session", anchor, chosen)


def goal_observation(scope: SessionScope) -> Iterator[Pair]:
    """Pair a session's goals with its decisions, patterns and work."""
    outcome = _select_substantial(scope.document)
    for goal in scope.document:
        if goal.observation.kind == "goal":
            yield from _join("goal_observation", goal, outcome)


def commit_session(scope: SessionScope) -> Iterator[Pair]:
    """Pair a commit's message with observations of the session whose tag range contains it."""
    notes = _select_substantial(scope.document)
    for _, observations in scope.commits:
        for message in observations:
            yield from _join("commit_session", message, notes, message.observation.weight)


def context_session(scope: SessionScope) -> Iterator[Pair]:
    """Pair a session's notes about the previous session with that session's observations."""
    notes = _select_substantial(scope.previous)
    for context in scope.document:
        if context.observation.kind == "context":
            yield from _join("context_session", context, notes)


def co_changed(scope: CommitScope) -> Iterator[Pair]:
    """Pair paths that changed in one commit; with n paths, each pair weighs 1/(n - 1)."""
    for path, neighbour in _iterate_neighbours(scope.paths, scope.oid):
        weight = 1 / (len(scope.paths) - 1)
        yield Pair("co_changed", path_member(path), path_member(neighbour), None, weight, "")


def commit_files(scope: CommitScope) -> Iterator[Pair]:
    """Pair a commit's message with paths that it changed."""
    for message in scope.message:
        for path in _choose_partners(message.id, scope.paths)[:_PARTNERS]:
            weight = message.observation.weight
            yield Pair("commit_files", message.id, path_member(path), None, weight, "")


def same_module(scope: ModuleScope) -> Iterator[Pair]:
    """Pair paths of one folder."""
    for path, neighbour in _iterate_neighbours(scope.paths, scope.folder):
        yield Pair("same_module", path_member(path), path_member(neighbour), None, 1.0, "")


def _select_substantial(observations: Sequence[Recorded]) -> list[Recorded]:
    return [recorded for recorded in observations if recorded.observation.kind in _SUBSTANCE]


def _join(kind: str, anchor: Recorded, candidates: Sequence[Recorded], weight: float = 1.0) -> Iterator[Pair]:
    """Pair the anchor with a few candidates that have another text."""
    partners = [
        candidate
        for candidate in _choose_partners(anchor.id, candidates)
        if candidate.observation.text != anchor.observation.text
    ]
    for partner in partners[:_PARTNERS]:
        yield Pair(kind, anchor.id, partner.id, None, weight, "")


def _choose_partners(anchor: str, candidates: Sequence[T]) -> list[T]:
    """Choose a few candidates and a spare, always the same for the same anchor.

    A hash of the anchor selects the first, and the next ones follow, so that the cost is constant.
    """
    if not candidates:
        return []
    start = _hash(anchor) % len(candidates)
    return [
        candidates[(start + step) % len(candidates)] for step in range(min(_PARTNERS + 1, len(candidates)))
    ]


def _iterate_neighbours(paths: Sequence[str], seed: str) -> Iterator[tuple[str, str]]:
    """Yield each path with the next few in an order hashed from the seed.

    Adding or removing a path changes only the pairs of its neighbours.
    """
    ring = sorted(paths, key=lambda path: (_hash(f"{seed}\0{path}"), path))
    for position, path in enumerate(ring):
        for step in range(1, min(_PARTNERS + 1, len(ring))):
            yield path, ring[(position + step) % len(ring)]


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=4).digest(), "big")
