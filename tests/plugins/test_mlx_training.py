"""Projections trained with MLX: gradients, weights and behaviour of the core's trainers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from patina_mlx.core import mx
from patina_mlx.training import contrast_loss, differentiate, triplet_loss
from projection.small_trainings import (
    SETTINGS,
    TRAINERS,
    PlugPulled,
    Watcher,
    found,
    pairs,
    task,
    with_settings,
)

from patina_hooks.plugins.manager import Plugins, open_callable
from patina_hooks.projection.weights import open_projection, weights_hash
from patina_hooks.specs.training import TooLittleToLearn, Trained, TrainingTask
from patina_hooks.training.trainers.layers import two_layers
from patina_hooks.training.trainers.mlp import triplet_gradients
from patina_hooks.training.trainers.optimiser import Parameters
from patina_hooks.training.trainers.residual import contrast_gradients

Loss = Callable[[dict[str, mx.array]], mx.array]

EITHER = pytest.mark.parametrize("name", TRAINERS)


def train(name: str, of: TrainingTask, watch: Watcher) -> Trained:
    """As `patina oxidize` calls it."""
    trained: Trained = open_callable(Plugins.load().projection(f"mlx-{name}").train)(of, watch)
    return trained


def drawn(draw: np.random.Generator, inputs: int, hidden: int, out: int) -> Parameters:
    parameters = Parameters(two_layers(inputs, hidden, out))
    parameters.flat[:] = draw.standard_normal(len(parameters.flat)) / 2
    return parameters


def both(
    parameters: Parameters, core: Callable[[Parameters], float], mine: Loss
) -> tuple[Parameters, Parameters]:
    """Gradients of the core and of MLX, after their losses were found the same."""
    expected, gradients = parameters.like(), parameters.like()
    loss = core(expected)
    assert differentiate(mine, parameters.tensors, gradients.tensors) == pytest.approx(loss, rel=1e-5)
    return expected, gradients


@pytest.mark.parametrize("seed", range(4))
def test_gradients_of_the_triplet_loss(seed: int) -> None:
    draw = np.random.default_rng(seed)
    parameters = drawn(draw, 7, 9, 5)
    x = draw.standard_normal((18, 7)).astype(np.float32)
    weights = (draw.random(6) + 0.1).astype(np.float32)
    expected, gradients = both(
        parameters,
        lambda into: triplet_gradients(parameters.tensors, into.tensors, x, weights, 0.6),
        partial(triplet_loss, x=mx.array(x), weights=mx.array(weights), margin=0.6),
    )
    assert np.abs(expected.flat).max() > 1e-2
    np.testing.assert_allclose(gradients.flat, expected.flat, atol=1e-5)


@pytest.mark.parametrize("twice", [False, True], ids=["different texts", "a text that stands twice"])
@pytest.mark.parametrize("best_of", [1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_gradients_of_info_nce(seed: int, best_of: int, twice: bool) -> None:
    draw = np.random.default_rng(seed)
    parameters = drawn(draw, 6, 8, 6)
    u = draw.standard_normal((5 + 5 * best_of, 6)).astype(np.float32)
    if twice:
        u[5 + best_of : 5 + 2 * best_of] = u[5 + best_of]
    weights = (draw.random(5) + 0.1).astype(np.float32)
    allowed = draw.random((5, 5, best_of)) > 0.3
    allowed[range(5), range(5), 0] = True
    allowed[0, 1] = False
    expected, gradients = both(
        parameters,
        lambda into: contrast_gradients(parameters.tensors, into.tensors, u, allowed, weights, 0.3),
        partial(contrast_loss, u=mx.array(u), allowed=mx.array(allowed), weights=mx.array(weights), tau=0.3),
    )
    assert np.abs(expected.flat).max() > 1e-2
    np.testing.assert_allclose(gradients.flat, expected.flat, atol=1e-5)


def test_a_row_of_zeros_pulls_at_nothing() -> None:
    parameters = Parameters(two_layers(3, 4, 2))
    x, weights = mx.ones((3, 3)), mx.ones(1)
    gradients = parameters.like()
    loss = differentiate(
        partial(triplet_loss, x=x, weights=weights, margin=0.5), parameters.tensors, gradients.tensors
    )
    assert loss == pytest.approx(0.5)
    assert not gradients.flat.any()


@EITHER
def test_it_trains_what_the_core_trains(name: str) -> None:
    core, mine = TRAINERS[name](task(), Watcher()), train(name, task(), Watcher())
    assert mine.metadata == core.metadata
    assert mine.weights.keys() == core.weights.keys()
    for tensor in core.weights:
        np.testing.assert_allclose(mine.weights[tensor], core.weights[tensor], atol=2e-3)
    assert [step.loss for step in mine.steps] == pytest.approx([step.loss for step in core.steps], rel=1e-2)


@EITHER
def test_what_can_be_learned_is_learned_and_holds_for_later_sessions(name: str) -> None:
    of = with_settings(task(sessions=60, held=20), out=24, epochs=12, power=0.0)
    trained = train(name, of, Watcher())
    projected = open_projection(trained.weights, trained.metadata)(of.vectors)
    assert found(projected, of.held, 6) > 1.5 * found(of.vectors, of.held, 6)


@EITHER
def test_going_on_from_a_checkpoint_ends_in_the_same_weights(name: str) -> None:
    whole, interrupted = train(name, task(), Watcher()), Watcher(interrupt_after=3)
    with pytest.raises(PlugPulled):
        train(name, task(), interrupted)
    resumed = train(name, task(), Watcher(begin_with=interrupted.states[-1]))
    assert weights_hash(resumed.weights) == weights_hash(whole.weights)
    assert resumed.steps == whole.steps
    assert len(whole.steps) == SETTINGS.epochs


@EITHER
def test_no_pairs_are_too_little(name: str) -> None:
    with pytest.raises(TooLittleToLearn, match="no pairs"):
        train(name, replace(task(), train=pairs(range(0), 1)), Watcher())


@EITHER
def test_steps_that_overflow_end_training_with_weights_that_are_finite(name: str) -> None:
    trained = train(name, with_settings(task(), rate=1e30), Watcher())
    assert trained.stopped == "the loss is not finite"
    assert all(np.isfinite(tensor).all() for tensor in trained.weights.values())


@EITHER
def test_no_gradient_is_the_core_s(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(loss: Loss) -> Loss:
        raise PlugPulled

    monkeypatch.setattr(mx, "value_and_grad", fails)
    with pytest.raises(PlugPulled):
        train(name, task(), Watcher())
