"""Input and output of trainers: the interface of `patina_register_projections`.

A trainer sees numbers only: unit vectors, and which rows of them belong together. It is a pure function of
its task (the seed included), so that two clones of one history train the same weights on one machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from patina_hooks.errors import PatinaError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from patina_hooks.specs.vectors import Vectors

    Rows = NDArray[np.intp]
    Weights = Mapping[str, NDArray[np.float32]]


OUT_OF_TIME = "out of time"
"""The reason where `seconds` of the settings ended training; the next run resumes it."""


class TooLittleToLearn(PatinaError):
    """A trainer got too few texts, or pairs that give it nothing to learn."""


@dataclass(frozen=True, slots=True, eq=False)
class PairRows:
    """Pairs as rows of a task's vectors: anchors [p], positives [p], weights [p] float32.

    scopes: [p] which session (or commit, for pairs of paths) each pair is from, as a number.
    """

    anchors: Rows
    positives: Rows
    weights: NDArray[np.float32]
    scopes: Rows

    def __len__(self) -> int:
        return len(self.anchors)


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """hidden: width of the hidden layer; out: dimensions of the result; margin: of the triplet loss.

    tau: temperature of InfoNCE; power: how far whitening goes, 0 (a rotation) to 1 (full);
    best_of: how many texts of a session stand for it in InfoNCE, the one nearest to the anchor counts;
    patience: epochs without a better loss on later pairs after which training stops;
    seed: 0 or more; seconds: wall time after which training stops with the best weights so far, None for no
    limit. It counts from when this process began to train, and an epoch that it cuts short is lost.
    """

    hidden: int
    out: int
    epochs: int = 10
    batch_size: int = 64
    rate: float = 3e-4
    margin: float = 0.2
    tau: float = 0.05
    power: float = 0.35
    best_of: int = 4
    patience: int = 3
    seed: int = 0
    seconds: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class TrainingTask:
    """vectors: [n, d] float32, unit rows, one a distinct text, in canonical order (by text key).

    train: the pairs to learn from; held: pairs of a later time, to stop by. groups: for each row, the
    sessions (or, for paths, commits) that say it: a negative shares none with its anchor.
    """

    vectors: Vectors
    train: PairRows
    held: PairRows
    groups: Sequence[frozenset[int]]
    settings: TrainingSettings


@dataclass(frozen=True, slots=True)
class TrainingStep:
    """One epoch's end. loss: mean over the epoch; held_loss: over the held pairs, None without any."""

    epoch: int
    epochs: int
    loss: float
    held_loss: float | None


class Watch(Protocol):
    """Reports progress of a trainer, and resumes one that was interrupted."""

    def step(self, step: TrainingStep, state: Weights) -> None:
        """Record the end of an epoch. state: everything needed to resume, stored as a checkpoint."""
        ...

    def resume(self) -> Weights | None:
        """Return the state of the last checkpoint of this task, None where there is none."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """The result of a trainer. weights: tensors by name, float32; metadata: what is needed to read them.

    steps: the curve, one an epoch, those before an interruption included. Empty where nothing is iterated.
    """

    weights: Weights
    metadata: Mapping[str, str]
    steps: tuple[TrainingStep, ...] = ()
    stopped: str = field(default="")
    """Why it ended before its last epoch: "" (it did not), "no better on later pairs", "out of time",
    "the loss is not finite"."""


class Projection(Protocol):
    """Weights opened for use."""

    dimensions: int

    def __call__(self, vectors: Vectors) -> Vectors:
        """Map unit vectors [n, d] to unit vectors [n, dimensions], float32.

        A row's result is the same to the bit in any batch. A zero row stays zero.
        """
        ...
