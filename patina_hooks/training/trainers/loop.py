"""The training loop: epochs, checkpoints, and early stopping.

An epoch is a pure function of its initial state, the seed and its number. The watch gets the state after
each epoch, so that resumed training ends in the same weights, bit for bit, as uninterrupted training.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from math import isfinite, isnan, nan
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import numpy as np

from patina_hooks.specs.training import OUT_OF_TIME, TrainingSettings, TrainingStep, Watch
from patina_hooks.training.trainers.layers import Floats, Tensors
from patina_hooks.training.trainers.optimiser import AdamW, Parameters

if TYPE_CHECKING:
    from patina_hooks.specs.training import Weights

NO_BETTER = "no better on later pairs"
DIVERGED = "the loss is not finite"

Batch = TypeVar("Batch")


class Objective(Protocol[Batch]):
    """An objective: batches of an epoch, their loss and gradients, and the loss on later pairs."""

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Yield the batches of an epoch, a function of the seed and the epoch only."""
        ...

    def learn(self, tensors: Tensors, gradients: Tensors, batch: Batch) -> float:
        """Return the batch's mean loss and write its gradients into `gradients`."""
        ...

    def held_loss(self, tensors: Tensors) -> float | None:
        """Return the mean loss over later pairs, None without any."""
        ...


class TrainingLoop(Generic[Batch]):
    """The state of a training; `best` are the parameters with the lowest loss on later pairs.

    Without later pairs, `best` are the newest parameters.
    """

    def __init__(
        self, objective: Objective[Batch], parameters: Parameters, settings: TrainingSettings
    ) -> None:
        """Start from initialised parameters, which are changed in place."""
        self._objective, self._settings = objective, settings
        self._parameters, self._gradients = parameters, parameters.like()
        self._optimiser = AdamW(parameters.flat, settings.rate)
        self._untrained = _rounded(objective.held_loss(parameters.tensors))
        self._best = parameters.flat.copy()
        self._curve: list[tuple[float, float, float]] = []

    def run(self, watch: Watch) -> str:
        """Train, and return why training stopped early, "" after the last epoch."""
        self._restore(watch.resume())
        seconds = self._settings.seconds
        deadline = None if seconds is None else time.monotonic() + seconds
        # Overflow ends training; it is checked once per epoch.
        with np.errstate(over="ignore", invalid="ignore"):
            while len(self._curve) < self._settings.epochs:
                if self._epochs_since_best() >= self._settings.patience:
                    return NO_BETTER
                epoch = self._epoch(deadline)
                if epoch is None:
                    return OUT_OF_TIME
                held = _rounded(self._objective.held_loss(self._parameters.tensors))
                if not self._is_finite(epoch[0], held):
                    return DIVERGED
                self._finish(*epoch, held)
                watch.step(self.steps[-1], self._state())
        return ""

    @property
    def best(self) -> dict[str, Floats]:
        """The best weights, by name."""
        return self._parameters.named(self._best)

    @property
    def steps(self) -> tuple[TrainingStep, ...]:
        """The curve, one step per epoch."""
        return tuple(
            TrainingStep(index + 1, self._settings.epochs, loss, None if isnan(held) else held)
            for index, (loss, held, _) in enumerate(self._curve)
        )

    def _epoch(self, deadline: float | None) -> tuple[float, int] | None:
        """Train one epoch; return the mean loss and the number of batches, None if time runs out."""
        total, count = 0.0, 0
        for batch in self._objective.batches(len(self._curve) + 1):
            if deadline is not None and time.monotonic() >= deadline:
                return None
            total += self._objective.learn(self._parameters.tensors, self._gradients.tensors, batch)
            self._optimiser.step(self._gradients.flat)
            count += 1
        return total / max(count, 1), count

    def _is_finite(self, loss: float, held: float) -> bool:
        parameters = bool(np.isfinite(self._parameters.flat).all())
        return parameters and isfinite(loss) and isnan(held) == isnan(self._untrained)

    def _finish(self, loss: float, batches: int, held: float) -> None:
        if isnan(held) or held < min([self._untrained, *(earlier for _, earlier, _ in self._curve)]):
            self._best[:] = self._parameters.flat
        self._curve.append((_rounded(loss), held, float(batches)))

    def _epochs_since_best(self) -> int:
        """Count the epochs since the best one; 0 without later pairs."""
        losses = [self._untrained, *(held for _, held, _ in self._curve)]
        return 0 if isnan(self._untrained) else len(losses) - 1 - int(np.argmin(losses))

    def _state(self) -> Weights:
        return {
            "parameters": self._parameters.flat.astype(np.float32),
            "first_moment": self._optimiser.first.astype(np.float32),
            "second_moment": self._optimiser.second.astype(np.float32),
            "best": self._best.astype(np.float32),
            "curve": np.array(self._curve, np.float32).reshape(-1, 3),
        }

    def _restore(self, state: Weights | None) -> None:
        if state is None:
            return
        self._parameters.flat[:] = state["parameters"]
        self._optimiser.first[:] = state["first_moment"]
        self._optimiser.second[:] = state["second_moment"]
        self._best[:] = state["best"]
        self._curve = [(float(loss), float(held), float(count)) for loss, held, count in state["curve"]]
        self._optimiser.steps = int(sum(count for _, _, count in self._curve))


def _rounded(loss: float | None) -> float:
    """Round to float32 as in a checkpoint; NaN without a loss."""
    return nan if loss is None else float(np.float32(loss))
