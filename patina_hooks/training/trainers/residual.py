"""Whitening with a trained residual correction that starts at zero.

With u the whitened row: y = (u + MLP(u)) / |u + MLP(u)|. The second layer starts at zero, so that an
untrained projection equals whitening, bit for bit. The loss is InfoNCE (van den Oord et al. 2018) over the
sessions of a batch:

    loss = -log( exp(s_own / tau) / sum over the batch's sessions of exp(s / tau) ),    s = cos(anchor, text)

With `best_of` above 1 that many texts represent a session, and s is that of the nearest one, as in a search
of sessions. Texts that share a session with the anchor, or equal it, are never negatives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from patina_hooks.projection.weights import describe_weights, row_products
from patina_hooks.specs.training import PairRows, Trained, TrainingTask, Watch
from patina_hooks.training.trainers import whitening
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
    Purpose,
    batches,
    random_generator,
    require_pairs,
    usable_pairs,
)

if TYPE_CHECKING:
    from patina_hooks.specs.training import Rows
    from patina_hooks.specs.vectors import Vectors


@dataclass(frozen=True, slots=True, eq=False)
class Contrast:
    """A batch. anchors [b] and texts [b, k] are rows; the k texts of one line represent one session.

    allowed: [b, b, k], the texts that are compared with each anchor; weights [b].
    """

    anchors: Rows
    texts: Rows
    allowed: NDArray[np.bool_]
    weights: NDArray[np.float32]


class SessionTexts:
    """Pairs, and the texts that represent the session of each: the positives of its scope."""

    def __init__(self, pairs: PairRows) -> None:
        self.pairs = pairs
        order = np.argsort(pairs.scopes, kind="stable")
        self._positives = pairs.positives[order]
        _, starts, of_pair, counts = np.unique(
            pairs.scopes[order], return_index=True, return_inverse=True, return_counts=True
        )
        self._starts, self._counts = np.empty((2, len(pairs)), np.intp)
        self._starts[order], self._counts[order] = starts[of_pair], counts[of_pair]

    def texts(self, chosen: Rows, count: int, generator: np.random.Generator) -> Rows:
        """Draw texts [b, count]: each chosen pair's positive first, then others of its scope."""
        draws_in_scope = generator.integers(self._counts[chosen][:, None], size=(len(chosen), count - 1))
        further = self._positives[self._starts[chosen][:, None] + draws_in_scope]
        return np.column_stack([self.pairs.positives[chosen], further])


class ContrastObjective:
    """Batches of pairs; a pair's positive and more texts of its session represent the session."""

    def __init__(self, task: TrainingTask, whitened: Vectors) -> None:
        """Prepare the batches. whitened: [n, out], the task's rows before normalisation."""
        self._whitened, self._settings = whitened, task.settings
        self._membership = Membership(task.groups)
        self._train = SessionTexts(require_pairs(task.train))
        self._judged = list(self._contrasts(SessionTexts(usable_pairs(task.held)), 0))

    def batches(self, epoch: int) -> Iterator[Contrast]:
        return self._contrasts(self._train, epoch)

    def learn(self, tensors: Tensors, gradients: Tensors, batch: Contrast) -> float:
        u = self._rows(batch)
        return contrast_gradients(tensors, gradients, u, batch.allowed, batch.weights, self._settings.tau)

    def held_loss(self, tensors: Tensors) -> float | None:
        total, weight = 0.0, 0.0
        for batch in self._judged:
            u = self._rows(batch)
            y, _ = normalise(u + forward(tensors, u)[0])
            share = float(batch.weights.sum())
            total += share * contrast_loss(y, batch.allowed, batch.weights, self._settings.tau)[0]
            weight += share
        return total / weight if weight else None

    def _rows(self, batch: Contrast) -> Floats:
        rows: Floats = self._whitened[np.concatenate([batch.anchors, batch.texts.ravel()])]
        return rows

    def _contrasts(self, session_texts: SessionTexts, epoch: int) -> Iterator[Contrast]:
        pairs = session_texts.pairs
        order = random_generator(self._settings.seed, epoch, Purpose.ORDER).permutation(len(pairs))
        generator = random_generator(self._settings.seed, epoch, Purpose.PARTNERS)
        for chosen in batches(order, self._settings.batch_size):
            anchors, texts = (
                pairs.anchors[chosen],
                session_texts.texts(chosen, self._settings.best_of, generator),
            )
            yield Contrast(anchors, texts, self._allowed(anchors, texts), pairs.weights[chosen])

    def _allowed(self, anchors: Rows, texts: Rows) -> NDArray[np.bool_]:
        allowed = ~self._membership.clashes(anchors, texts.ravel()).reshape(len(anchors), *texts.shape)
        own = np.arange(len(anchors))
        allowed[own, own] = texts != anchors[:, None]
        return allowed


def train(
    task: TrainingTask,
    watch: Watch,
    objective: Callable[[TrainingTask, Vectors], Objective[Contrast]] = ContrastObjective,
) -> Trained:
    """Train the correction of a whitening.

    Args:
        task: the training set and pairs.
        watch: gets every step and returns a checkpoint.
        objective: another runtime's objective, of the task and its whitened rows [n, out].

    Raises:
        TooLittleToLearn: there are no pairs, or all texts are equal.
    """
    settings = task.settings
    mean, components = whitening.fit(task.vectors, settings.out, settings.power)
    whitened = row_products(task.vectors - mean, components)
    parameters = Parameters(two_layers(len(components), settings.hidden, len(components)))
    he_initialise(parameters.tensors["w1.weight"], random_generator(settings.seed, 0, Purpose.WEIGHTS))
    training = TrainingLoop(objective(task, whitened), parameters, settings)
    stopped = training.run(watch)
    weights = {"mean": mean, "components": components, **training.best}
    about = describe_weights("residual", weights) | {"power": f"{settings.power:g}"}
    return Trained(weights, about, training.steps, stopped)


def contrast_gradients(
    tensors: Tensors, gradients: Tensors, u: Floats, allowed: NDArray[np.bool_], weights: Floats, tau: float
) -> float:
    """Compute the weighted mean loss of whitened rows, and its gradients.

    u: [b + b k, d], anchors, then texts.
    """
    correction, hidden = forward(tensors, u)
    y, inverse = normalise(u + correction)
    loss, dy = contrast_loss(y, allowed, weights, tau)
    backward(tensors, gradients, u, hidden, normalise_backward(y, inverse, dy))
    return loss


def contrast_loss(y: Floats, allowed: NDArray[np.bool_], weights: Floats, tau: float) -> tuple[float, Floats]:
    """Compute the weighted mean loss of unit rows, and its gradient at y.

    y: [b + b k, d], anchors, then texts.
    """
    count = len(weights)
    anchors, texts = y[:count], y[count:]
    scores = np.where(allowed, (anchors @ texts.T).reshape(allowed.shape) / tau, -np.inf)
    nearest = scores.argmax(axis=2)[:, :, None]
    best = np.take_along_axis(scores, nearest, axis=2)[:, :, 0]
    top = best.max(axis=1, keepdims=True)
    odds = np.exp(best - top)
    total = odds.sum(axis=1, keepdims=True)
    own = np.arange(count)
    share = weights / weights.sum()
    losses = np.log(total[:, 0]) + top[:, 0] - best[own, own]
    pull = odds / total
    pull[own, own] -= 1
    pull *= share[:, None] / tau
    dscores = np.zeros_like(scores)
    np.put_along_axis(dscores, nearest, pull[:, :, None], axis=2)
    flat = dscores.reshape(count, -1)
    return float(losses @ share), np.concatenate([flat @ texts, flat.T @ anchors]).astype(y.dtype)
