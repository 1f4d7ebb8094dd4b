"""Analytic gradients are those of the losses: central differences in float64."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from patina_hooks.training.trainers.layers import normalise, two_layers
from patina_hooks.training.trainers.mlp import triplet_gradients
from patina_hooks.training.trainers.optimiser import Parameters
from patina_hooks.training.trainers.residual import contrast_gradients

_STEP = 1e-6


def differences(loss: Callable[[], float], parameters: Parameters) -> NDArray[np.float64]:
    found = np.empty(len(parameters.flat))
    for at, value in enumerate(parameters.flat.copy()):
        sides = []
        for side in (value + _STEP, value - _STEP):
            parameters.flat[at] = side
            sides.append(loss())
        parameters.flat[at] = value
        found[at] = (sides[0] - sides[1]) / (2 * _STEP)
    return found


def drawn(draw: np.random.Generator, inputs: int, hidden: int, out: int) -> Parameters:
    parameters = Parameters(two_layers(inputs, hidden, out), np.float64)
    parameters.flat[:] = draw.standard_normal(len(parameters.flat)) / 2
    return parameters


@pytest.mark.parametrize("seed", range(4))
def test_triplet_loss_of_normalised_rows_behind_a_relu(seed: int) -> None:
    draw = np.random.default_rng(seed)
    parameters = drawn(draw, 7, 9, 5)
    gradients = parameters.like()
    x, weights = draw.standard_normal((3 * 6, 7)), draw.random(6) + 0.1

    def loss() -> float:
        return triplet_gradients(parameters.tensors, gradients.tensors, x, weights, 0.6)

    expected = differences(loss, parameters)
    loss()
    assert np.abs(expected).max() > 1e-2
    np.testing.assert_allclose(gradients.flat, expected, atol=1e-8)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("best_of", [1, 3])
def test_info_nce_of_the_nearest_allowed_text_over_a_residual(best_of: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    parameters = drawn(draw, 6, 8, 6)
    gradients = parameters.like()
    u, weights = draw.standard_normal((5 + 5 * best_of, 6)), draw.random(5) + 0.1
    allowed = draw.random((5, 5, best_of)) > 0.3
    allowed[range(5), range(5), 0] = True

    def loss() -> float:
        return contrast_gradients(parameters.tensors, gradients.tensors, u, allowed, weights, 0.3)

    expected = differences(loss, parameters)
    loss()
    assert np.abs(expected).max() > 1e-2
    np.testing.assert_allclose(gradients.flat, expected, atol=1e-8)


def test_a_row_of_zeros_is_normalised_to_zeros_and_pulls_at_nothing() -> None:
    y, inverse = normalise(np.array([[0.0, 0.0], [3.0, 4.0]]))
    assert y.tolist() == [[0, 0], [pytest.approx(0.6), pytest.approx(0.8)]]
    assert inverse.tolist() == [[0], [pytest.approx(0.2)]]
