"""How fast this machine trains a projection: measured on a few drawn vectors, before anything is trained."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from patina_hooks.specs.training import PairRows, TrainingTask
from patina_hooks.training.training import open_trainer

if TYPE_CHECKING:
    from patina_hooks.plugins.manager import Plugins
    from patina_hooks.specs.training import Trained, TrainingStep, Weights
    from patina_hooks.training.plan import Planned

_TEXTS: Final = 1_024
_PAIRS: Final = 512
_PER_SESSION: Final = 8


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds a text, where nothing is iterated, and seconds a pair in each epoch, where something is."""

    text: float
    pair: float

    def seconds(self, texts: int, pairs: int, epochs: int) -> float:
        """About how long training takes at the most; it may stop before its last epoch."""
        return self.text * texts + self.pair * pairs * epochs


class _Unwatched:
    def step(self, step: TrainingStep, state: Weights) -> None:
        pass

    def resume(self) -> Weights | None:
        return None


def measured_pace(plugins: Plugins, one: Planned, dimensions: int) -> Pace | None:
    """Train on a thousand drawn vectors, for one epoch; None where the trainer fails, as a run will tell."""
    task = _drawn(one, dimensions)
    begun = time.perf_counter()
    try:
        trained: Trained = open_trainer(plugins, one)(task, _Unwatched())
    except KeyboardInterrupt:
        raise
    except BaseException:  # a plugin's trainer
        return None
    seconds = time.perf_counter() - begun
    return Pace(0.0, seconds / _PAIRS) if trained.steps else Pace(seconds / _TEXTS, 0.0)


def _drawn(one: Planned, dimensions: int) -> TrainingTask:
    vectors = np.random.default_rng(0).standard_normal((_TEXTS, dimensions), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    anchors = np.arange(_PAIRS)
    sessions = anchors // _PER_SESSION
    positives = sessions * _PER_SESSION + (anchors + 1) % _PER_SESSION
    pairs = PairRows(anchors, positives, np.ones(_PAIRS, np.float32), sessions)
    none = np.zeros(0, np.intp)
    held = PairRows(none, none, np.zeros(0, np.float32), none)
    groups = [frozenset({row // _PER_SESSION}) for row in range(_TEXTS)]
    return TrainingTask(vectors, pairs, held, groups, replace(one.settings, epochs=1))
