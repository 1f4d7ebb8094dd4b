"""Checkpoints: training that was killed goes on from its last epoch, if it is still the same task."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from patina_hooks.projection.weights import WeightsDamaged, read_tensors, write_tensors
from patina_hooks.specs.training import TrainingStep

if TYPE_CHECKING:
    from patina_hooks.specs.training import Weights


class Checkpoint:
    """The `Watch` of one task: one file, named by the task. It stays until the run is over, so that what is
    done is not done again where another projection's training is killed."""

    def __init__(self, folder: Path, task: str, told: Callable[[TrainingStep], None]) -> None:
        """task: see `patina_hooks.training.past.digest_of`; told: is given every step."""
        self._path = folder / f"{task}.safetensors"
        self._told = told

    def step(self, step: TrainingStep, state: Weights) -> None:
        with suppress(OSError):  # a full disk costs what a kill would
            write_tensors(self._path, state, {})
        self._told(step)

    def resume(self) -> Weights | None:
        if not self._path.exists():
            return None
        with suppress(WeightsDamaged):  # then training begins anew
            return read_tensors(self._path)[0]
        return None
