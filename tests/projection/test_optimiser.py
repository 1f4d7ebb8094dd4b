"""AdamW in chunks is AdamW as it is written down."""

from __future__ import annotations

import numpy as np

from patina_hooks.training.trainers.optimiser import AdamW, Parameters


def test_many_steps_over_several_chunks_are_those_of_the_formula() -> None:
    draw = np.random.default_rng(0)
    start = draw.standard_normal(40_000)
    optimiser = AdamW(start.copy(), 1e-2)
    theta, m, v = start.copy(), np.zeros_like(start), np.zeros_like(start)
    for t in range(1, 21):
        gradient = draw.standard_normal(40_000)
        optimiser.step(gradient.copy())
        theta = theta * (1 - 1e-2 * 0.01)
        m = 0.9 * m + 0.1 * gradient
        v = 0.999 * v + 0.001 * gradient**2
        theta = theta - 1e-2 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    np.testing.assert_allclose(optimiser.parameters, theta, rtol=1e-10, atol=1e-12)


def test_named_tensors_are_views_of_the_flat_array() -> None:
    parameters = Parameters({"a": (2, 3), "b": (3,)})
    parameters.flat[:] = np.arange(9)
    assert parameters.tensors["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert parameters.tensors["b"].tolist() == [6, 7, 8]
    parameters.tensors["b"][1] = -1
    assert parameters.flat[7] == -1
    assert parameters.like().flat.tolist() == [0] * 9
