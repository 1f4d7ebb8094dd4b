"""A row's result is the same to the bit whatever rows it comes with: incremental equals rebuild."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from projection.small_trainings import unit

from patina_hooks.projection.weights import open_projection
from patina_hooks.training.trainers.layers import two_layers

if TYPE_CHECKING:
    from patina_hooks.specs.vectors import Vectors


def _drawn(architecture: str, inputs: int, hidden: int, out: int) -> dict[str, Vectors]:
    draw = np.random.default_rng(4)
    first = out if architecture == "residual" else inputs
    layers = two_layers(first, hidden, out)
    white = {"mean": (inputs,), "components": (out, inputs)}
    shapes = {"whitening": white, "mlp-2layer": layers, "residual": {**white, **layers}}[architecture]
    return {name: (draw.standard_normal(shape) / 8).astype(np.float32) for name, shape in shapes.items()}


_ROWS = unit(np.random.default_rng(5).standard_normal((700, 96)))
_PROJECTIONS = {
    name: open_projection(_drawn(name, 96, 80, 50), {"architecture": name})
    for name in ("whitening", "mlp-2layer", "residual")
}
_ALL = {name: projection(_ROWS) for name, projection in _PROJECTIONS.items()}


@pytest.mark.parametrize("name", _PROJECTIONS)
@settings(max_examples=60, deadline=None)
@given(chosen=st.lists(st.integers(0, 699), max_size=200))
def test_rows_in_any_company_and_order(name: str, chosen: list[int]) -> None:
    assert np.array_equal(_PROJECTIONS[name](_ROWS[chosen]), _ALL[name][chosen])


@pytest.mark.parametrize("core", ["", "Haswell", "Sandybridge", "Prescott"])
def test_rows_alone_and_all_at_once_on_other_processors(core: str) -> None:
    """OpenBLAS takes the kernels of another processor by its name; other libraries do not mind."""
    code = (
        "import numpy as np\n"
        "from projection.test_rows import _PROJECTIONS, _ROWS\n"
        "for projection in _PROJECTIONS.values():\n"
        "    at_once, alone = projection(_ROWS), [projection(row[None])[0] for row in _ROWS]\n"
        "    assert np.array_equal(at_once, np.stack(alone))\n"
        "    shifted = projection(_ROWS[1:])\n"
        "    assert np.array_equal(at_once[1:], shifted)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    if core:
        environment["OPENBLAS_CORETYPE"] = core
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


@pytest.mark.parametrize("name", _PROJECTIONS)
def test_results_are_unit_rows_and_a_row_of_zeros_stays_one(name: str) -> None:
    rows = _ROWS[:3].copy()
    rows[1] = 0
    result = _PROJECTIONS[name](rows)
    assert result.dtype == np.float32
    assert result.shape == (3, _PROJECTIONS[name].dimensions) == (3, 50)
    np.testing.assert_allclose(np.linalg.norm(result[[0, 2]], axis=1), 1, atol=1e-6)
    assert not result[1].any()
    assert _PROJECTIONS[name](_ROWS[:0]).shape == (0, 50)


@pytest.mark.parametrize("name", _PROJECTIONS)
def test_weights_that_overflow_give_zeros_not_what_is_no_number(name: str) -> None:
    huge = {key: np.full_like(tensor, 3e38) for key, tensor in _drawn(name, 96, 80, 50).items()}
    assert not open_projection(huge, {"architecture": name})(_ROWS[:3]).any()
