"""Trainers with PyTorch's gradients, held against the core's in numpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest
from projection.small_trainings import TRAINERS, PlugPulled, Watcher, found, pairs, task, with_settings

from patina_hooks.plugins.manager import Plugins, open_callable
from patina_hooks.projection.weights import open_projection, weights_hash
from patina_hooks.specs.training import TooLittleToLearn, Trained, TrainingTask
from patina_hooks.training.trainers.layers import two_layers
from patina_hooks.training.trainers.mlp import triplet_gradients
from patina_hooks.training.trainers.optimiser import Parameters
from patina_hooks.training.trainers.residual import contrast_gradients

if TYPE_CHECKING:
    import torch

pytestmark = pytest.mark.torch
EITHER = pytest.mark.parametrize("name", TRAINERS)


def train(name: str, of: TrainingTask, watcher: Watcher) -> Trained:
    """By the plugin's spec, as `patina oxidize` does."""
    trained: Trained = open_callable(Plugins.load().projection(f"torch-{name}").train)(of, watcher)
    return trained


def drawn(draw: np.random.Generator, inputs: int, hidden: int, out: int) -> Parameters:
    parameters = Parameters(two_layers(inputs, hidden, out), np.float64)
    parameters.flat[:] = draw.standard_normal(len(parameters.flat)) / 2
    return parameters


def gradients(
    parameters: Parameters, loss_of: Callable[..., torch.Tensor], *arguments: object
) -> tuple[float, Parameters]:
    import torch
    from patina_torch.training import differentiate

    given = [torch.from_numpy(one) if isinstance(one, np.ndarray) else one for one in arguments]
    written = parameters.like()
    written.flat[:] = np.nan
    loss = differentiate(
        lambda leaves: loss_of(leaves, *given), parameters.tensors, written.tensors, torch.device("cpu")
    )
    return loss, written


@pytest.mark.parametrize("seed", range(4))
def test_gradients_of_the_triplet_loss(seed: int) -> None:
    from patina_torch.training import triplet_loss

    draw = np.random.default_rng(seed)
    parameters, expected = drawn(draw, 7, 9, 5), drawn(draw, 7, 9, 5)
    x, weights = draw.standard_normal((3 * 6, 7)), draw.random(6) + 0.1
    if seed == 3:  # the row of zeros, which has no direction
        parameters.tensors["w1.bias"][:] = parameters.tensors["w2.bias"][:] = x[2] = 0
    loss, written = gradients(parameters, triplet_loss, x, weights, 0.6)
    assert loss == pytest.approx(
        triplet_gradients(parameters.tensors, expected.tensors, x, weights, 0.6), abs=1e-12
    )
    assert np.abs(expected.flat).max() > 1e-2
    np.testing.assert_allclose(written.flat, expected.flat, atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("best_of", [1, 3])
def test_gradients_of_the_contrast_loss(best_of: int, seed: int) -> None:
    from patina_torch.training import contrast_loss

    draw = np.random.default_rng(seed)
    parameters, expected = drawn(draw, 6, 8, 6), drawn(draw, 6, 8, 6)
    u, weights = draw.standard_normal((5 + 5 * best_of, 6)), draw.random(5) + 0.1
    u[-1] = u[-2]  # a text that stands there twice
    allowed = draw.random((5, 5, best_of)) > 0.3
    allowed[range(5), range(5), 0] = True
    allowed[0, 1] = False
    loss, written = gradients(parameters, contrast_loss, u, allowed, weights, 0.3)
    assert loss == pytest.approx(
        contrast_gradients(parameters.tensors, expected.tensors, u, allowed, weights, 0.3), abs=1e-12
    )
    assert np.abs(expected.flat).max() > 1e-2
    np.testing.assert_allclose(written.flat, expected.flat, atol=1e-12)


@EITHER
def test_it_learns_what_the_core_learns(name: str) -> None:
    of = with_settings(task(sessions=60, held=20), out=24, epochs=8, power=0.0, best_of=3)
    watcher = Watcher()
    trained, core = train(name, of, watcher), TRAINERS[name](of, Watcher())
    assert trained.metadata == core.metadata
    assert trained.steps == tuple(watcher.steps)
    curve, expected_curve = (
        np.array([(step.loss, step.held_loss) for step in one.steps], np.float64) for one in (trained, core)
    )
    np.testing.assert_allclose(curve, expected_curve, rtol=1e-3)
    for tensor, expected in core.weights.items():
        np.testing.assert_allclose(trained.weights[tensor], expected, atol=2e-3)
    projected = open_projection(trained.weights, trained.metadata)(of.vectors)
    assert found(projected, of.held, 6) > 1.2 * found(of.vectors, of.held, 6)


@EITHER
def test_going_on_from_a_checkpoint_ends_in_the_same_weights(name: str) -> None:
    whole = train(name, task(), Watcher())
    interrupted = Watcher(interrupt_after=2)
    with pytest.raises(PlugPulled):
        train(name, task(), interrupted)
    resumed = train(name, task(), Watcher(begin_with=interrupted.states[-1]))
    assert weights_hash(resumed.weights) == weights_hash(whole.weights)
    assert (resumed.steps, resumed.stopped) == (whole.steps, whole.stopped)


@EITHER
def test_without_pairs_there_is_nothing_to_learn(name: str) -> None:
    of = task()
    none = TrainingTask(of.vectors, pairs(range(0), 1), of.held, of.groups, of.settings)
    with pytest.raises(TooLittleToLearn):
        train(name, none, Watcher())
