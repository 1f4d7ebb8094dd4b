"""`mlp` and `residual` with PyTorch's gradients: on the settings' device, to the core's weights and files.

Batches, negatives, later pairs, the optimiser, checkpoints and when to stop are the core's own. Only the
loss of a batch is written down here once more, and PyTorch differentiates it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

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
from patina_torch.device import choose_compute_device

if TYPE_CHECKING:
    import torch

    from patina_hooks.authoring import Vectors

    Leaves = Mapping[str, torch.Tensor]

_TINY = 1e-12


def train_mlp(task: TrainingTask, watch: Watch) -> Trained:
    """As `patina_hooks.training.trainers.mlp.train`; a device that is not there raises `ModelError`."""
    return mlp.train(task, watch, partial(TorchTriplets, device=choose_compute_device().device))


def train_residual(task: TrainingTask, watch: Watch) -> Trained:
    """As `patina_hooks.training.trainers.residual.train`; a device that is not there raises `ModelError`."""
    return residual.train(task, watch, partial(TorchContrast, device=choose_compute_device().device))


class TorchTriplets(TripletObjective):
    """The core's triplets, learned from on a device."""

    def __init__(self, task: TrainingTask, device: torch.device) -> None:
        super().__init__(task)
        self._placed_rows, self._device = _placed(task.vectors, device), device

    def learn(self, tensors: Tensors, gradients: Tensors, batch: Triplets) -> float:
        import torch

        x = self._placed_rows[torch.from_numpy(batch.rows.ravel()).to(self._device)]
        weights = torch.from_numpy(batch.weights).to(self._device)
        return differentiate(
            lambda leaves: triplet_loss(leaves, x, weights, self._settings.margin),
            tensors,
            gradients,
            self._device,
        )


class TorchContrast(ContrastObjective):
    """The built-in batches of pairs and sessions, learned from on a device."""

    def __init__(self, task: TrainingTask, whitened: Vectors, device: torch.device) -> None:
        super().__init__(task, whitened)
        self._placed_rows, self._device = _placed(whitened, device), device

    def learn(self, tensors: Tensors, gradients: Tensors, batch: Contrast) -> float:
        import torch

        anchors, texts, allowed, weights = (
            torch.from_numpy(one).to(self._device)
            for one in (batch.anchors, batch.texts, batch.allowed, batch.weights)
        )
        u = self._placed_rows[torch.cat([anchors, texts.ravel()])]
        return differentiate(
            lambda leaves: contrast_loss(leaves, u, allowed, weights, self._settings.tau),
            tensors,
            gradients,
            self._device,
        )


def differentiate(
    loss_of: Callable[[Leaves], torch.Tensor], tensors: Tensors, gradients: Tensors, device: torch.device
) -> float:
    """Return the loss at `tensors`; write its gradients into `gradients`."""
    import torch

    leaves = {name: torch.from_numpy(tensor).to(device).requires_grad_() for name, tensor in tensors.items()}
    loss = loss_of(leaves)
    for name, gradient in zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True):
        gradients[name][...] = gradient.cpu().numpy()
    return float(loss.detach())


def triplet_loss(leaves: Leaves, x: torch.Tensor, weights: torch.Tensor, margin: float) -> torch.Tensor:
    """Return the weighted mean loss over triplets x [3 t, in]: anchors, then positives, then negatives."""
    anchor, positive, negative = _unit(_layers(leaves, x)).reshape(3, len(weights), -1)
    losses = ((negative - positive) * anchor).sum(dim=1) + margin
    return losses.clamp(min=0) @ (weights / weights.sum())


def contrast_loss(
    leaves: Leaves, u: torch.Tensor, allowed: torch.Tensor, weights: torch.Tensor, tau: float
) -> torch.Tensor:
    """Return the weighted mean loss over whitened rows u [b + b k, d]: anchors, then texts."""
    y = _unit(u + _layers(leaves, u))
    anchors, texts = y[: len(weights)], y[len(weights) :]
    scores = (anchors @ texts.T).reshape(allowed.shape) / tau
    best = scores.masked_fill(~allowed, float("-inf")).max(dim=2).values
    losses = best.logsumexp(dim=1) - best.diagonal()
    return losses @ (weights / weights.sum())


def _layers(leaves: Leaves, x: torch.Tensor) -> torch.Tensor:
    hidden = (x @ leaves["w1.weight"].T + leaves["w1.bias"]).relu()
    return hidden @ leaves["w2.weight"].T + leaves["w2.bias"]


def _unit(z: torch.Tensor) -> torch.Tensor:
    """Normalise rows; a row of zeros stays zero, without a gradient."""
    length = (z * z).sum(dim=1, keepdim=True)
    is_nonzero = length > _TINY**2
    return z * length.where(is_nonzero, 1).rsqrt().where(is_nonzero, 0)


def _placed(rows: Vectors, device: torch.device) -> torch.Tensor:
    # 1 s to import: only when something is trained.
    import torch

    return torch.from_numpy(rows).to(device)
