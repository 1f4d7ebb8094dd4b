"""`mlp` and `residual` with PyTorch's gradients: on the settings' device, to the core's weights and files.

Batches, negatives, later pairs, the optimiser, checkpoints and when to stop are the core's own. Only the
loss of a batch is written down here once more, and PyTorch differentiates it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from patina_hooks.projection import whitening
from patina_hooks.projection.interface import Trained, TrainingTask, Watch
from patina_hooks.projection.layers import Tensors, he_initialise, two_layers
from patina_hooks.projection.loop import Objective, Training
from patina_hooks.projection.mlp import TripletObjective, Triplets
from patina_hooks.projection.optimiser import Parameters
from patina_hooks.projection.residual import Contrast, ContrastObjective
from patina_hooks.projection.sampling import Purpose, draws
from patina_hooks.projection.weights import described, row_products
from patina_torch.device import chosen_place

if TYPE_CHECKING:
    import torch

    from patina_hooks.types import Vectors

    Leaves = Mapping[str, torch.Tensor]

_TINY = 1e-12


def train_mlp(task: TrainingTask, watch: Watch) -> Trained:
    """As `patina_hooks.projection.mlp.train`; a device that is not there raises `ModelError`."""
    objective = TorchTriplets(task, chosen_place().device)
    settings = task.settings
    parameters = Parameters(two_layers(task.vectors.shape[1], settings.hidden, settings.out))
    generator = draws(settings.seed, 0, Purpose.WEIGHTS)
    for name in ("w1.weight", "w2.weight"):
        he_initialise(parameters.tensors[name], generator)
    training = Training(objective, parameters, settings)
    stopped = training.run(watch)
    weights = training.best
    return Trained(weights, described("mlp-2layer", weights), training.steps, stopped)


def train_residual(task: TrainingTask, watch: Watch) -> Trained:
    """As `patina_hooks.projection.residual.train`; a device that is not there raises `ModelError`."""
    settings = task.settings
    mean, components = whitening.fit(task.vectors, settings.out, settings.power)
    whitened = row_products(task.vectors - mean, components)
    objective = TorchContrast(task, whitened, chosen_place().device)
    parameters = Parameters(two_layers(len(components), settings.hidden, len(components)))
    he_initialise(parameters.tensors["w1.weight"], draws(settings.seed, 0, Purpose.WEIGHTS))
    training = Training(objective, parameters, settings)
    stopped = training.run(watch)
    weights = {"mean": mean, "components": components, **training.best}
    about = described("residual", weights) | {"power": f"{settings.power:g}"}
    return Trained(weights, about, training.steps, stopped)


class TorchTriplets(Objective[Triplets]):
    """The core's triplets, learned from on a device."""

    def __init__(self, task: TrainingTask, device: torch.device) -> None:
        self._core = TripletObjective(task)
        self._rows, self._margin, self._device = _placed(task.vectors, device), task.settings.margin, device

    def batches(self, epoch: int) -> Iterator[Triplets]:
        return self._core.batches(epoch)

    def held_loss(self, tensors: Tensors) -> float | None:
        return self._core.held_loss(tensors)

    def learn(self, tensors: Tensors, gradients: Tensors, batch: Triplets) -> float:
        import torch

        x = self._rows[torch.from_numpy(batch.rows.ravel()).to(self._device)]
        weights = torch.from_numpy(batch.weights).to(self._device)
        return differentiate(
            lambda leaves: triplet_loss(leaves, x, weights, self._margin), tensors, gradients, self._device
        )


class TorchContrast(Objective[Contrast]):
    """The core's batches of pairs and sessions, learned from on a device."""

    def __init__(self, task: TrainingTask, whitened: Vectors, device: torch.device) -> None:
        self._core = ContrastObjective(task, whitened)
        self._rows, self._tau, self._device = _placed(whitened, device), task.settings.tau, device

    def batches(self, epoch: int) -> Iterator[Contrast]:
        return self._core.batches(epoch)

    def held_loss(self, tensors: Tensors) -> float | None:
        return self._core.held_loss(tensors)

    def learn(self, tensors: Tensors, gradients: Tensors, batch: Contrast) -> float:
        import torch

        anchors, texts, allowed, weights = (
            torch.from_numpy(one).to(self._device)
            for one in (batch.anchors, batch.texts, batch.allowed, batch.weights)
        )
        u = self._rows[torch.cat([anchors, texts.ravel()])]
        return differentiate(
            lambda leaves: contrast_loss(leaves, u, allowed, weights, self._tau),
            tensors,
            gradients,
            self._device,
        )


def differentiate(
    loss_of: Callable[[Leaves], torch.Tensor], tensors: Tensors, gradients: Tensors, device: torch.device
) -> float:
    """The loss at `tensors`; its gradients are written into `gradients`."""
    import torch

    leaves = {name: torch.from_numpy(one).to(device).requires_grad_() for name, one in tensors.items()}
    loss = loss_of(leaves)
    for name, found in zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True):
        gradients[name][...] = found.cpu().numpy()
    return float(loss.detach())


def triplet_loss(leaves: Leaves, x: torch.Tensor, weights: torch.Tensor, margin: float) -> torch.Tensor:
    """The weighted mean over triplets x [3 t, in]: anchors, then positives, then negatives."""
    anchor, positive, negative = _unit(_layers(leaves, x)).reshape(3, len(weights), -1)
    losses = ((negative - positive) * anchor).sum(dim=1) + margin
    return losses.clamp(min=0) @ (weights / weights.sum())


def contrast_loss(
    leaves: Leaves, u: torch.Tensor, allowed: torch.Tensor, weights: torch.Tensor, tau: float
) -> torch.Tensor:
    """The weighted mean over whitened rows u [b + b k, d]: anchors, then the k texts of each session."""
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
    """Unit rows; a row of zeros stays one, and has no gradient."""
    length = (z * z).sum(dim=1, keepdim=True)
    there = length > _TINY**2
    return z * length.where(there, 1).rsqrt().where(there, 0)


def _placed(rows: Vectors, device: torch.device) -> torch.Tensor:
    # 1 s to import: only when something is trained.
    import torch

    return torch.from_numpy(rows).to(device)
