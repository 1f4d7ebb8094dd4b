"""The built-in pair generators: pure functions of one session, seeded by what they read.

Each has a cost linear in the session. Negatives are chosen when a projection is trained, from other
sessions; a pair made here has none.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b

from patina_hooks.types import Pair, Recorded, SessionUnit

_SUBSTANCE = ("decision", "pattern", "work", "challenge", "discussion", "note", "next")
_PARTNERS = 4


def same_session(unit: SessionUnit) -> Iterator[Pair]:
    """Each observation of substance with a few others of its session, chosen by a hash of both ids."""
    chosen = [one for one in unit.document if one.observation.kind in _SUBSTANCE]
    for anchor in chosen:
        for other in _partners(anchor, chosen):
            yield Pair("same_session", anchor.id, other.id, None, 1.0, f"session {unit.id}")


def goal_observation(unit: SessionUnit) -> Iterator[Pair]:
    """What a session set out to do, with what it decided, learned and did."""
    outcome = [one for one in unit.document if one.observation.kind in _SUBSTANCE]
    for goal in unit.document:
        if goal.observation.kind == "goal":
            for other in _partners(goal, outcome):
                yield Pair("goal_observation", goal.id, other.id, None, 1.0, f"goals of session {unit.id}")


def commit_session(unit: SessionUnit) -> Iterator[Pair]:
    """A commit's message with what the session whose tag range holds it wrote down."""
    told = [one for one in unit.document if one.observation.kind in _SUBSTANCE]
    for oid, observations in unit.commits:
        for message in observations:
            for other in _partners(message, told):
                evidence = f"commit {oid} in the tag range of session {unit.id}"
                weight = message.observation.weight
                yield Pair("commit_session", message.id, other.id, None, weight, evidence)


def _partners(anchor: Recorded, others: list[Recorded]) -> list[Recorded]:
    """A few of the others, always the same for the same anchor; never the anchor's own text.

    The start is drawn from the anchor's id and the next ones follow, so that the cost is that of the few.
    """
    if not others:
        return []
    start = int.from_bytes(blake2b(anchor.id.encode(), digest_size=4).digest(), "big") % len(others)
    ring = [others[(start + step) % len(others)] for step in range(min(_PARTNERS + 1, len(others)))]
    return [one for one in ring if one.observation.text != anchor.observation.text][:_PARTNERS]
