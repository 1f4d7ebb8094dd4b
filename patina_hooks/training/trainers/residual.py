"""Whitening, and on top of it a correction that starts at nothing.

With u the whitened row: y = (u + MLP(u)) / |u + MLP(u)|. The second layer begins at zero, so that an
untrained projection is whitening, to the bit. The loss is InfoNCE (van den Oord et al. 2018): among the
sessions of a batch, which one is the anchor's?

    loss = -log( exp(s_own / tau) / sum over the batch's sessions of exp(s / tau) ),    s = cos(anchor, text)

With `best_of` above 1 a session stands there with so many of its texts, and s is that of the nearest, as it
is when sessions are searched. What shares a session or the text with the anchor never stands against it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from patina_hooks.projection.weights import described, row_products
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
from patina_hooks.training.trainers.loop import Objective, Training
from patina_hooks.training.trainers.optimiser import Parameters
from patina_hooks.training.trainers.sampling import Membership, Purpose, batches, counted, draws, enough

if TYPE_CHECKING:
    from patina_hooks.specs.training import Rows
    from patina_hooks.specs.vectors import Vectors


@dataclass(frozen=True, slots=True, eq=False)
class Contrast:
    """A batch. anchors [b] and texts [b, k] as rows, the k texts of one line standing for one session.

    allowed: [b, b, k], which texts may be looked at for which anchor; weights [b].
    """

    anchors: Rows
    texts: Rows
    allowed: NDArray[np.bool_]
    weights: NDArray[np.float32]


class Standing:
    """Pairs, and the texts that may stand for each one's session: the positives of its scope."""

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
        """[b, count]: each chosen pair's positive first, then others of its scope as they are drawn."""
        more = generator.integers(self._counts[chosen][:, None], size=(len(chosen), count - 1))
        others = self._positives[self._starts[chosen][:, None] + more]
        return np.column_stack([self.pairs.positives[chosen], others])


class ContrastObjective:
    """Batches of pairs; each pair's positive stands, with more texts of its session, for that session."""

    def __init__(self, task: TrainingTask, whitened: Vectors) -> None:
        """whitened: [n, out], the task's rows before normalisation."""
        self._whitened, self._settings = whitened, task.settings
        self._membership = Membership(task.groups)
        self._train = Standing(enough(task.train))
        self._judged = list(self._contrasts(Standing(counted(task.held)), 0))

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

    def _contrasts(self, standing: Standing, epoch: int) -> Iterator[Contrast]:
        pairs = standing.pairs
        order = draws(self._settings.seed, epoch, Purpose.ORDER).permutation(len(pairs))
        generator = draws(self._settings.seed, epoch, Purpose.PARTNERS)
        for chosen in batches(order, self._settings.batch_size):
            anchors, texts = pairs.anchors[chosen], standing.texts(chosen, self._settings.best_of, generator)
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
    """objective: of the task and its whitened rows [n, out], with gradients of its own, where something else
    than numpy is to compute them.

    Raises `TooLittleToLearn` where there are no pairs, or the texts do not differ.
    """
    settings = task.settings
    mean, components = whitening.fit(task.vectors, settings.out, settings.power)
    whitened = row_products(task.vectors - mean, components)
    parameters = Parameters(two_layers(len(components), settings.hidden, len(components)))
    he_initialise(parameters.tensors["w1.weight"], draws(settings.seed, 0, Purpose.WEIGHTS))
    training = Training(objective(task, whitened), parameters, settings)
    stopped = training.run(watch)
    weights = {"mean": mean, "components": components, **training.best}
    about = described("residual", weights) | {"power": f"{settings.power:g}"}
    return Trained(weights, about, training.steps, stopped)


def contrast_gradients(
    tensors: Tensors, gradients: Tensors, u: Floats, allowed: NDArray[np.bool_], weights: Floats, tau: float
) -> float:
    """The weighted mean loss of whitened rows u [b + b k, d] (anchors, then texts), and its gradients."""
    correction, hidden = forward(tensors, u)
    y, inverse = normalise(u + correction)
    loss, dy = contrast_loss(y, allowed, weights, tau)
    backward(tensors, gradients, u, hidden, normalise_backward(y, inverse, dy))
    return loss


def contrast_loss(y: Floats, allowed: NDArray[np.bool_], weights: Floats, tau: float) -> tuple[float, Floats]:
    """The weighted mean loss of unit rows y [b + b k, d] (anchors, then texts), and its gradient at y."""
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
