"""The built-in pair generators: pure functions of one scope, seeded by what they read.

Each has a cost linear in its scope: nothing is joined with everything, but with a few partners. Negatives are
drawn when a projection is trained, from other sessions; a pair made here has none. What evidence there is
beside the scope, `patina_hooks.plugins.builtin` says once for each generator.
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
    """Each observation of substance with a few others of its session, chosen by a hash of its id."""
    chosen = _substance(scope.document)
    for anchor in chosen:
        yield from _joined("same_session", anchor, chosen)


def goal_observation(scope: SessionScope) -> Iterator[Pair]:
    """What a session set out to do, with what it decided, learned and did."""
    outcome = _substance(scope.document)
    for goal in scope.document:
        if goal.observation.kind == "goal":
            yield from _joined("goal_observation", goal, outcome)


def commit_session(scope: SessionScope) -> Iterator[Pair]:
    """A commit's message with what the session whose tag range holds it wrote down."""
    told = _substance(scope.document)
    for _, observations in scope.commits:
        for message in observations:
            yield from _joined("commit_session", message, told, message.observation.weight)


def context_session(scope: SessionScope) -> Iterator[Pair]:
    """What a session says of the one before it, with what that one wrote down itself."""
    told = _substance(scope.previous)
    for context in scope.document:
        if context.observation.kind == "context":
            yield from _joined("context_session", context, told)


def co_changed(scope: CommitScope) -> Iterator[Pair]:
    """Paths that changed in one commit; of n paths, each says 1/(n - 1) of each other."""
    for path, other in _ring(scope.paths, scope.oid):
        weight = 1 / (len(scope.paths) - 1)
        yield Pair("co_changed", path_member(path), path_member(other), None, weight, "")


def commit_files(scope: CommitScope) -> Iterator[Pair]:
    """A commit's message with paths that it changed."""
    for message in scope.message:
        for path in _partners(message.id, scope.paths)[:_PARTNERS]:
            weight = message.observation.weight
            yield Pair("commit_files", message.id, path_member(path), None, weight, "")


def same_module(scope: ModuleScope) -> Iterator[Pair]:
    """Paths of one folder."""
    for path, other in _ring(scope.paths, scope.folder):
        yield Pair("same_module", path_member(path), path_member(other), None, 1.0, "")


def _substance(observations: Sequence[Recorded]) -> list[Recorded]:
    return [one for one in observations if one.observation.kind in _SUBSTANCE]


def _joined(kind: str, anchor: Recorded, others: Sequence[Recorded], weight: float = 1.0) -> Iterator[Pair]:
    """The anchor with a few of the others, never with its own text."""
    near = [one for one in _partners(anchor.id, others) if one.observation.text != anchor.observation.text]
    for other in near[:_PARTNERS]:
        yield Pair(kind, anchor.id, other.id, None, weight, "")


def _partners(anchor: str, others: Sequence[T]) -> list[T]:
    """A few of the others and one to spare, always the same for the same anchor.

    The start is drawn from the anchor and the next ones follow, so that the cost is that of the few.
    """
    if not others:
        return []
    start = _drawn(anchor) % len(others)
    return [others[(start + step) % len(others)] for step in range(min(_PARTNERS + 1, len(others)))]


def _ring(paths: Sequence[str], seed: str) -> Iterator[tuple[str, str]]:
    """Each path with the few after it in an order drawn for this seed: one that joins or leaves changes the
    pairs of its few neighbours alone."""
    ring = sorted(paths, key=lambda path: (_drawn(f"{seed}\0{path}"), path))
    for place, path in enumerate(ring):
        for step in range(1, min(_PARTNERS + 1, len(ring))):
            yield path, ring[(place + step) % len(ring)]


def _drawn(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=4).digest(), "big")
