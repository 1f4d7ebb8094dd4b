"""The built-in trainers with MLX's gradients: kinds "mlx-mlp" and "mlx-residual".

Draws, batches, optimiser, checkpoints and the layouts of weights are those of the built-in `mlp` and
`residual`, whose losses are written here for MLX to differentiate.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from patina_hooks.authoring import (
    Contrast,
    ContrastObjective,
    Tensors,
    Trained,
    TrainingTask,
    TripletObjective,
    Triplets,
    Watch,
    mlp,
    residual,
)
from patina_mlx.core import mx

_TINY = 1e-24


class MlxTripletObjective(TripletObjective):
    """Triplets whose gradients are MLX's."""

    def learn(self, tensors: Tensors, gradients: Tensors, batch: Triplets) -> float:
        x, weights = mx.array(self._vectors[batch.rows.ravel()]), mx.array(batch.weights)
        margin = self._settings.margin
        return differentiate(lambda layers: triplet_loss(layers, x, weights, margin), tensors, gradients)


class MlxContrastObjective(ContrastObjective):
    """Contrasts whose gradients are MLX's."""

    def learn(self, tensors: Tensors, gradients: Tensors, batch: Contrast) -> float:
        u, allowed, weights = mx.array(self._rows(batch)), mx.array(batch.allowed), mx.array(batch.weights)
        tau = self._settings.tau
        return differentiate(
            lambda layers: contrast_loss(layers, u, allowed, weights, tau), tensors, gradients
        )


def train_mlp(task: TrainingTask, watch: Watch) -> Trained:
    """Train as `patina_hooks.training.trainers.mlp.train`."""
    return mlp.train(task, watch, MlxTripletObjective)


def train_residual(task: TrainingTask, watch: Watch) -> Trained:
    """Train as `patina_hooks.training.trainers.residual.train`."""
    return residual.train(task, watch, MlxContrastObjective)


def differentiate(
    loss: Callable[[dict[str, mx.array]], mx.array], tensors: Tensors, gradients: Tensors
) -> float:
    """Return the loss of layers by name; write its gradients into `gradients`."""
    value, derivatives = mx.value_and_grad(loss)({name: mx.array(tensor) for name, tensor in tensors.items()})
    mx.eval(value, derivatives)
    for name, gradient in derivatives.items():
        gradients[name][...] = np.asarray(gradient)
    return float(np.asarray(value))


def triplet_loss(layers: dict[str, mx.array], x: mx.array, weights: mx.array, margin: float) -> mx.array:
    """Return the weighted mean loss of triplets x [3 t, in]: anchors, positives, negatives."""
    anchor, positive, negative = mx.split(_unit(_forward(layers, x)), 3)
    losses = mx.maximum((anchor * (negative - positive)).sum(axis=1) + margin, 0)
    return (losses * weights).sum() / weights.sum()


def contrast_loss(
    layers: dict[str, mx.array], u: mx.array, allowed: mx.array, weights: mx.array, tau: float
) -> mx.array:
    """Return the weighted mean loss of whitened rows u [b + b k, d]: anchors, then texts.

    allowed: [b, b, k].
    """
    count = len(weights)
    y = _unit(u + _forward(layers, u))
    scores = (y[:count] @ y[count:].T).reshape(allowed.shape) / tau
    nearest = mx.where(allowed, scores, -mx.inf).max(axis=2)
    losses = mx.logsumexp(nearest, axis=1) - mx.diagonal(nearest)
    return (losses * weights).sum() / weights.sum()


def _forward(layers: dict[str, mx.array], x: mx.array) -> mx.array:
    hidden = mx.maximum(x @ layers["w1.weight"].T + layers["w1.bias"], 0)
    return hidden @ layers["w2.weight"].T + layers["w2.bias"]


def _unit(z: mx.array) -> mx.array:
    """Normalise rows; a row of zeros stays zero, without a gradient."""
    square = (z * z).sum(axis=1, keepdims=True)
    is_nonzero = square > _TINY
    return mx.where(is_nonzero, z * mx.rsqrt(mx.where(is_nonzero, square, 1)), 0)
