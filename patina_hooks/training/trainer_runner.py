"""Run trainers and open their projections; a failing plugin does not stop the others."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from math import inf, isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Final

from patina_hooks.errors import IndexDamaged, PluginError
from patina_hooks.plugins.calls import PluginFunction, failure_of
from patina_hooks.plugins.kinds import PROJECTIONS
from patina_hooks.projection.active import PROJECTIONS_FOLDER, open_tested, store_weights
from patina_hooks.specs.training import OUT_OF_TIME, TooLittleToLearn, TrainingStep
from patina_hooks.training.trainers.checkpoint import Checkpoint
from patina_hooks.training.training_set import digest_task

if TYPE_CHECKING:
    from patina_hooks.plugins.manager import Plugins
    from patina_hooks.search.index.spaces import VectorSpace
    from patina_hooks.specs.reports import Outcome
    from patina_hooks.specs.training import Projection, TrainingTask
    from patina_hooks.training.plan import PlannedProjection

CHECKPOINTS: Final = "checkpoints"

OnStep = Callable[[str, TrainingStep], None]


class TrainerRunner:
    """One run's trainers and projections, for the model of one space."""

    def __init__(self, state: Path, plugins: Plugins, space: VectorSpace, on_step: OnStep) -> None:
        self._state, self._plugins, self._dimensions = state, plugins, space.dimensions
        self._about = {"model": space.model, "fingerprint": space.fingerprint}
        self._on_step = on_step
        self._opened: dict[str, Projection] = {}

    def train(self, planned: PlannedProjection, task: TrainingTask, outcome: Outcome) -> Outcome:
        """Train a projection and return its outcome with weights, or with the reason without."""
        folder = self._state / PROJECTIONS_FOLDER / CHECKPOINTS
        checkpoint = Checkpoint(
            folder, digest_task(task, planned.digest), partial(self._on_step, planned.name)
        )
        outcome = replace(outcome, count=len(task.train))
        start = time.monotonic()
        try:
            trained = open_trainer(self._plugins, planned)(task, checkpoint)
            if trained.stopped == OUT_OF_TIME and not trained.steps:
                return replace(outcome, stopped=OUT_OF_TIME, why="time ran out before its first epoch ended")
            about = {**self._about, "recipe": planned.digest, "events_hash": outcome.events_hash}
            weights = store_weights(self._state, trained, planned.kind, about)
            outcome = replace(
                outcome,
                epochs=len(trained.steps),
                curve=tuple(map(_point, trained.steps)),
                stopped=str(trained.stopped),
                seconds=round(time.monotonic() - start, 3),
                weights=weights,
                dimensions=self.open(weights).dimensions,
            )
        except TooLittleToLearn as error:
            return replace(outcome, why=str(error), lacks=True)
        except (IndexDamaged, PluginError) as error:
            if self._plugins.is_strict and isinstance(error, PluginError):
                raise
            return replace(outcome, why=str(error))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plugin's trainer: the remaining trainers run
            owner = self._plugins.owner(PROJECTIONS, planned.kind)
            failure = failure_of(error, planned.train.partition(":")[0])
            fault = self._plugins.fault(owner, f"trainer of {planned.kind}", failure, error)
            return replace(outcome, why=f"its trainer failed: plugin {owner}: {fault.error}")
        return outcome

    def open(self, weights: str) -> Projection:
        """Open the projection with weights of this hash; raises as `open_tested` does."""
        if weights not in self._opened:
            self._opened[weights] = open_tested(self._state, self._plugins, weights, self._dimensions)
        return self._opened[weights]

    def is_usable(self, weights: str) -> bool:
        """Return whether weights of this hash exist and are sound."""
        with suppress(IndexDamaged, PluginError):
            return bool(self.open(weights))
        return False


def open_trainer(plugins: Plugins, planned: PlannedProjection) -> PluginFunction:
    """Import a trainer; its guarded call has no time limit."""
    opened = plugins.open(PROJECTIONS, planned.kind, planned.train)
    action = f"trainer of {planned.kind}"
    return PluginFunction(opened.plugin, action, planned.train, opened.function, inf)


def _point(step: TrainingStep) -> tuple[int, float, float | None]:
    """Convert a trainer's step to plain numbers. Raises ValueError for a loss that is not finite."""
    loss, held = float(step.loss), None if step.held_loss is None else float(step.held_loss)
    if not isfinite(loss) or not isfinite(held or 0.0):
        raise ValueError(f"the loss of epoch {step.epoch} is not finite")
    return int(step.epoch), loss, held
