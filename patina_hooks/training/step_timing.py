"""How fast this machine trains a projection, measured on random vectors."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from patina_hooks.specs.training import PairRows, TrainingTask
from patina_hooks.training.trainer_runner import open_trainer

if TYPE_CHECKING:
    from patina_hooks.plugins.manager import Plugins
    from patina_hooks.specs.training import Trained, TrainingStep, Weights
    from patina_hooks.training.plan import PlannedProjection

_TEXTS: Final = 1_024
_PAIRS: Final = 512
_PER_SESSION: Final = 8


@dataclass(frozen=True, slots=True)
class StepTiming:
    """Seconds per text of a trainer without epochs, or seconds per pair and epoch of one with epochs."""

    per_text: float
    per_pair: float

    def estimate_seconds(self, texts: int, pairs: int, epochs: int) -> float:
        """Estimate the longest training time; training may stop before its last epoch."""
        return self.per_text * texts + self.per_pair * pairs * epochs


class _Unwatched:
    def step(self, step: TrainingStep, state: Weights) -> None:
        pass

    def resume(self) -> Weights | None:
        return None


def measure_step_timing(plugins: Plugins, planned: PlannedProjection, dimensions: int) -> StepTiming | None:
    """Train one epoch on 1,024 random vectors.

    Returns:
        The timing, None if the trainer fails; the run itself reports the failure.
    """
    task = _random_task(planned, dimensions)
    start = time.perf_counter()
    try:
        trained: Trained = open_trainer(plugins, planned)(task, _Unwatched())
    except KeyboardInterrupt:
        raise
    except BaseException:  # a plugin's trainer
        return None
    seconds = time.perf_counter() - start
    return StepTiming(0.0, seconds / _PAIRS) if trained.steps else StepTiming(seconds / _TEXTS, 0.0)


def _random_task(planned: PlannedProjection, dimensions: int) -> TrainingTask:
    vectors = np.random.default_rng(0).standard_normal((_TEXTS, dimensions), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    anchors = np.arange(_PAIRS)
    sessions = anchors // _PER_SESSION
    positives = sessions * _PER_SESSION + (anchors + 1) % _PER_SESSION
    pairs = PairRows(anchors, positives, np.ones(_PAIRS, np.float32), sessions)
    empty = np.zeros(0, np.intp)
    held = PairRows(empty, empty, np.zeros(0, np.float32), empty)
    groups = [frozenset({row // _PER_SESSION}) for row in range(_TEXTS)]
    return TrainingTask(vectors, pairs, held, groups, replace(planned.settings, epochs=1))
