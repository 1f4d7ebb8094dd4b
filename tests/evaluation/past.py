"""A small past to ask about: sessions with documents, tags and commits, each about matters of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from support.memory import Memory, open_model

from patina_hooks.api import Patina
from patina_hooks.evaluation.embeddings import Embeddings, load_embeddings
from patina_hooks.evaluation.history import History, read_history
from patina_hooks.evaluation.query_sets.mining import QuerySet
from patina_hooks.projection.active import Active, store_active, store_weights
from patina_hooks.projection.weights import describe_weights
from patina_hooks.search.index.spaces import VectorSpace, active_space
from patina_hooks.specs.training import Trained
from patina_hooks.store.log import Log

TOPICS = (
    ("marmots", "whistle at eagles", "burrow"),
    ("glaciers", "grind the valley floor", "moraine"),
    ("sailors", "splice the mooring rope", "halyard"),
    ("bakers", "fold the sourdough twice", "oven"),
    ("weavers", "thread the loom by hand", "shuttle"),
    ("miners", "shore the gallery with oak", "lantern"),
    ("falcons", "stoop on pigeons at noon", "talon"),
    ("potters", "glaze the jar with ash", "kiln"),
    ("surgeons", "suture the wound in layers", "scalpel"),
    ("pilots", "trim the rudder in crosswind", "cockpit"),
    ("brewers", "mash the barley slowly", "hops"),
    ("painters", "prime the canvas with gesso", "easel"),
)


@dataclass(frozen=True, slots=True)
class Past:
    """memory: synced; sessions: their ids in order."""

    memory: Memory
    sessions: tuple[str, ...]

    def history(self) -> History:
        return read_past(self.memory)


def read_past(memory: Memory) -> History:
    """The history as the last sync left it."""
    with Log(memory.state, create=False) as log, log.reading() as connection:
        return read_history(connection)


def history_of(memory: Memory) -> History:
    """The history as it is now."""
    memory.sync()
    return read_past(memory)


def space_of(memory: Memory) -> VectorSpace:
    with Log(memory.state, create=False) as log:
        space = active_space(log)
    assert space is not None
    return space


def embedded(memory: Memory, sets: Iterable[QuerySet]) -> Embeddings:
    """The raw vectors of these sets."""
    space = space_of(memory)
    return load_embeddings(memory.state, space, sets, lambda: open_model(space))


def session_id(number: int) -> str:
    return f"202511{number + 1:02}-090000"


def make_past(root: Path, count: int = len(TOPICS)) -> Past:
    """`count` sessions of two commits; each document tells of the session before it."""
    memory = Memory.make(root)
    memory.commit("begin", {f"src/{place}.py": "0" for _, _, place in TOPICS})
    ids = tuple(session_id(number) for number in range(count))
    for number, session in enumerate(ids):
        who, what, where = TOPICS[number]
        with memory.session(session):
            memory.commit(f"teach the {where} to obey {who}", {f"src/{where}.py": f"{number}a"})
            memory.commit(f"{who} now {what} in every {where}", {f"src/{where}.py": f"{number}b"})
        memory.commit(f"archive {session}", {f"layer/sessions/{session}.md": document(number, session)})
    memory.sync()
    return Past(memory, ids)


def document(number: int, session: str, *, more: str = "") -> str:
    """What a session wrote down; `more` goes below its decisions."""
    who, what, where = TOPICS[number]
    before = TOPICS[number - 1]
    told = f"Last time we saw how {before[0]} {before[1]} near the {before[2]}. Then it rained."
    return (
        f"# Session: study of {who}\n**ID**: {session}\n**Started**: 2025-11-03T16:00:00Z\n\n"
        f"## Previous Session Context\n{told if number else '<!-- AI: none -->'}\n\n"
        f"## Goals\n- [ ] learn why {who} {what}\n\n"
        "## Activity Log\n### 09:10 - Update\n\n**Key Decisions:**\n"
        f"- It was decided that {who} {what} because of the {where}\n"
        f"- Every {where} is kept for {who}, whatever the others may say\n{more}\n"
    )


def use_blind(patina: Patina, split: int) -> None:
    """Have a projection answer from the next sync on, to which all texts are the same."""
    size, state = 64, patina.repository.state
    weights = {
        "w1.weight": np.zeros((2, size), np.float32),
        "w1.bias": np.ones(2, np.float32),
        "w2.weight": np.ones((2, 2), np.float32),
        "w2.bias": np.zeros(2, np.float32),
    }
    name = store_weights(state, Trained(weights, describe_weights("mlp-2layer", weights)), "mlp")
    with Log(state, create=False) as log:
        space = active_space(log)
    assert space is not None
    store_active(
        state,
        Active("blind", "mlp", name, 2, space.fingerprint, 0.1, 0.0, 0.2, 10, split, forced=True),
    )
    recipe = patina.repository.root / ".patina/oxidize.yaml"
    recipe.write_text(recipe.read_text() + "projections:\n  blind: {type: mlp}\n")
