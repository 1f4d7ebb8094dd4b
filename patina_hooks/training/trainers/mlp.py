"""The ancestor project's projection with a gradient: two layers, triplet loss.

loss = max(0, margin + d(anchor, positive) - d(anchor, negative)),    d(a, b) = 1 - cos(a, b)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from patina_hooks.projection.weights import describe_weights
from patina_hooks.specs.training import PairRows, TooLittleToLearn, Trained, TrainingTask, Watch
from patina_hooks.training.trainers.layers import (
    Floats,
    Tensors,
    backward,
    forward,
    he_initialise,
    normalise,
    normalise_backward,
    two_layers,
)
from patina_hooks.training.trainers.loop import Objective, TrainingLoop
from patina_hooks.training.trainers.optimiser import Parameters
from patina_hooks.training.trainers.sampling import (
    Membership,
    Negatives,
    Purpose,
    batches,
    random_generator,
    require_pairs,
    rows_of,
    usable_pairs,
)

if TYPE_CHECKING:
    from patina_hooks.specs.training import Rows

_EVALUATION_BATCH = 1024


@dataclass(frozen=True, slots=True, eq=False)
class Triplets:
    """Triplets of rows. rows [3, t]: anchors, positives and negatives; weights [t]."""

    rows: Rows
    weights: NDArray[np.float32]

    def part(self, chosen: Rows | slice) -> Triplets:
        return Triplets(self.rows[:, chosen], self.weights[chosen])


class TripletObjective:
    """Triplets of training pairs, with new negatives in each epoch; those of later pairs stay."""

    def __init__(self, task: TrainingTask) -> None:
        """Draw negatives. Raises `TooLittleToLearn` if no pair has a possible negative."""
        self._vectors, self._settings = task.vectors, task.settings
        self._train = require_pairs(task.train)
        membership = Membership(task.groups)
        self._negatives = Negatives(membership, rows_of(task.train))
        against_held = Negatives(membership, rows_of(task.train, task.held))
        self._held = self._triplets(usable_pairs(task.held), against_held, epoch=0)
        if not len(self._epoch(1).weights):
            raise TooLittleToLearn("cannot draw negatives: the texts of all pairs belong together")

    def batches(self, epoch: int) -> Iterator[Triplets]:
        triplets = self._epoch(epoch)
        generator = random_generator(self._settings.seed, epoch, Purpose.ORDER)
        for chosen in batches(generator.permutation(len(triplets.weights)), self._settings.batch_size):
            yield triplets.part(chosen)

    def learn(self, tensors: Tensors, gradients: Tensors, batch: Triplets) -> float:
        x = self._vectors[batch.rows.ravel()]
        return triplet_gradients(tensors, gradients, x, batch.weights, self._settings.margin)

    def held_loss(self, tensors: Tensors) -> float | None:
        held, total = self._held, 0.0
        for start in range(0, len(held.weights), _EVALUATION_BATCH):
            part = held.part(slice(start, start + _EVALUATION_BATCH))
            y, _ = normalise(forward(tensors, self._vectors[part.rows.ravel()])[0])
            total += triplet_loss(y, part.weights, self._settings.margin)[0] * float(part.weights.sum())
        return total / float(held.weights.sum()) if len(held.weights) else None

    def _epoch(self, epoch: int) -> Triplets:
        return self._triplets(self._train, self._negatives, epoch)

    def _triplets(self, pairs: PairRows, negatives: Negatives, epoch: int) -> Triplets:
        negative_rows = negatives.draw(pairs, random_generator(self._settings.seed, epoch, Purpose.PARTNERS))
        drawable = np.flatnonzero(negative_rows >= 0)
        return Triplets(np.stack([pairs.anchors, pairs.positives, negative_rows]), pairs.weights).part(
            drawable
        )


def train(
    task: TrainingTask,
    watch: Watch,
    objective: Callable[[TrainingTask], Objective[Triplets]] = TripletObjective,
) -> Trained:
    """Train two layers with the triplet loss.

    Args:
        task: the training set and pairs.
        watch: gets every step and returns a checkpoint.
        objective: another runtime's objective, with its own gradients.

    Raises:
        TooLittleToLearn: there are no pairs, or no pair has a possible negative.
    """
    settings = task.settings
    parameters = Parameters(two_layers(task.vectors.shape[1], settings.hidden, settings.out))
    generator = random_generator(settings.seed, 0, Purpose.WEIGHTS)
    for name in ("w1.weight", "w2.weight"):
        he_initialise(parameters.tensors[name], generator)
    training = TrainingLoop(objective(task), parameters, settings)
    stopped = training.run(watch)
    weights = training.best
    return Trained(weights, describe_weights("mlp-2layer", weights), training.steps, stopped)


def triplet_gradients(
    tensors: Tensors, gradients: Tensors, x: Floats, weights: Floats, margin: float
) -> float:
    """Compute the weighted mean loss of triplets, and its gradients.

    x: [3 t, in], anchors, positives and negatives.
    """
    z, hidden = forward(tensors, x)
    y, inverse = normalise(z)
    loss, dy = triplet_loss(y, weights, margin)
    backward(tensors, gradients, x, hidden, normalise_backward(y, inverse, dy))
    return loss


def triplet_loss(y: Floats, weights: Floats, margin: float) -> tuple[float, Floats]:
    """Compute the weighted mean loss of unit rows y [3 t, out], and its gradient at y."""
    anchor, positive, negative = y.reshape(3, len(weights), -1)
    away = negative - positive
    losses = np.einsum("td,td->t", anchor, away) + margin
    share = weights / weights.sum()
    pull = np.where(losses > 0, share, 0).astype(y.dtype)[:, None]
    dy = np.concatenate([pull * away, pull * -anchor, pull * anchor])
    return float(np.maximum(losses, 0) @ share), dy
