"""Small tasks that can be learned, and a watch that remembers, or pulls the plug."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from patina_hooks.specs.training import PairRows, Trained, TrainingSettings, TrainingStep, TrainingTask
from patina_hooks.training.trainers import mlp, residual

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from patina_hooks.specs.training import Weights
    from patina_hooks.specs.vectors import Vectors

SETTINGS = TrainingSettings(hidden=32, out=12, epochs=6, batch_size=16, rate=3e-3, patience=6)
_DIMENSIONS, _MEANINGFUL = 24, 4


class PlugPulled(Exception):
    """What a watch raises to interrupt."""


class Watcher:
    """Keeps steps and states. begin_with: a checkpoint to go on from; interrupt_after: an epoch."""

    def __init__(self, begin_with: Weights | None = None, interrupt_after: int = 0) -> None:
        self.steps: list[TrainingStep] = []
        self.states: list[Weights] = []
        self._begin_with, self._interrupt_after = begin_with, interrupt_after

    def step(self, step: TrainingStep, state: Weights) -> None:
        self.steps.append(step)
        self.states.append(state)
        if step.epoch == self._interrupt_after:
            raise PlugPulled

    def resume(self) -> Weights | None:
        return self._begin_with


TRAINERS: dict[str, Callable[[TrainingTask, Watcher], Trained]] = {
    "mlp": mlp.train,
    "residual": residual.train,
}


def task(
    settings: TrainingSettings = SETTINGS, *, sessions: int = 24, texts: int = 6, held: int = 6, seed: int = 1
) -> TrainingTask:
    """Sessions whose texts agree in a few dimensions and differ at random, more strongly, in the others.

    A projection that keeps those few tells sessions apart. The last `held` sessions are the later ones.
    """
    draw = np.random.default_rng(seed)
    centres = np.repeat(draw.standard_normal((sessions, _MEANINGFUL)), texts, axis=0)
    noise = 1.5 * draw.standard_normal((sessions * texts, _DIMENSIONS - _MEANINGFUL))
    return TrainingTask(
        vectors=unit(np.hstack([centres, noise])),
        train=pairs(range(sessions - held), texts),
        held=pairs(range(sessions - held, sessions), texts),
        groups=[frozenset({row // texts}) for row in range(sessions * texts)],
        settings=settings,
    )


def with_settings(of: TrainingTask, **changes: Any) -> TrainingTask:  # noqa: ANN401
    """The task with other settings, named as in `TrainingSettings`."""
    return replace(of, settings=replace(of.settings, **changes))


def pairs(sessions: range, texts: int) -> PairRows:
    """Each text with the next two of its session."""
    rows = [
        (session * texts + text, session * texts + (text + step) % texts, session)
        for session in sessions
        for text in range(texts)
        for step in (1, 2)
    ]
    anchors, positives, scopes = np.array(rows, np.intp).reshape(-1, 3).T
    return PairRows(anchors, positives, np.ones(len(rows), np.float32), scopes)


def unit(rows: NDArray[Any]) -> Vectors:
    """Rows of length 1, float32."""
    result: Vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return result


def found(vectors: Vectors, of: PairRows, texts: int) -> float:
    """How often the nearest other text of these sessions is one of the same session."""
    rows = np.unique(of.anchors)
    scores = vectors[rows] @ vectors[rows].T
    np.fill_diagonal(scores, -2)
    nearest = rows[scores.argmax(axis=1)]
    return float(np.mean(nearest // texts == rows // texts))
