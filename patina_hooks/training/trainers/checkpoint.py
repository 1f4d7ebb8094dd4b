"""Checkpoints: an interrupted training of the same task resumes after its last epoch."""

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
    """The `Watch` of one task, with one file named by the task.

    The file stays until the run ends: if the training of a later projection is killed, this one need not
    train again.
    """

    def __init__(self, folder: Path, task: str, on_step: Callable[[TrainingStep], None]) -> None:
        """Create it. task: see `patina_hooks.training.training_set.digest_task`."""
        self._path = folder / f"{task}.safetensors"
        self._on_step = on_step

    def step(self, step: TrainingStep, state: Weights) -> None:
        with suppress(OSError):  # with a full disk, an interrupted training starts from the beginning
            write_tensors(self._path, state, {})
        self._on_step(step)

    def resume(self) -> Weights | None:
        if not self._path.exists():
            return None
        with suppress(WeightsDamaged):  # then training starts from the beginning
            return read_tensors(self._path)[0]
        return None
