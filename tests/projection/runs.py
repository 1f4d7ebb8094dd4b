"""Runs of oxidize, and what they leave in use."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from evaluation.past import space_of
from projection.learning import (
    MODEL,
    saying,
    session_id,
    words,
)
from support.memory import Memory, memory_of

from patina_hooks.plugins.manager import Plugins
from patina_hooks.specs.reports import Outcome, Report
from patina_hooks.training.oxidize import RunPlan, oxidize, plan_run

WHITENING = MODEL + "  mine: {type: whitening, layers: [32, 24]}\n"
MLP = MODEL + "  mine: {type: mlp, layers: [32, 24], epochs: 3}\n"
QUESTION = saying(*words(7)[:2])


def run(memory: Memory, providers: Plugins | None = None, **options: Any) -> Report:  # noqa: ANN401
    with memory_of(memory.repository, providers) as patina:
        return oxidize(patina, **options)


def look(memory: Memory, only: Collection[str] = ()) -> RunPlan:
    with memory_of(memory.repository) as patina:
        return plan_run(patina, only=only)


def stale(memory: Memory) -> dict[str, str]:
    return {one.name: one.why for one in look(memory).stale if one.why}


def asks_for(memory: Memory, recipe: str) -> None:
    memory.write(".patina/oxidize.yaml", recipe)


def more_history(memory: Memory) -> None:
    """A commit of today, which a run of today makes the future."""
    memory.commit("review the server again", {"src/more.py": "1"})
    memory.sync()


def named(found: Report, name: str = "mine") -> Outcome:
    one = found.outcome(name)
    assert one is not None
    return one


def answered_by(memory: Memory) -> str:
    """The weights behind the index that answers; it does answer, by vectors."""
    with memory_of(memory.repository) as patina:
        assert patina.search(QUESTION, mode="vector")[0].session == session_id(7)
    return space_of(memory).projection
