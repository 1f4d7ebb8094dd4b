"""Two linear layers with a ReLU between and unit rows after, with exact gradients.

    hidden = max(x w1.weight^T + w1.bias, 0)    z = hidden w2.weight^T + w2.bias    y = z / |z|

Rows are samples. The names and shapes of the tensors are those of the ancestor project's files: w1.weight
[hidden, in], w1.bias [hidden], w2.weight [out, hidden], w2.bias [out]. Every function keeps the precision of
its inputs: training uses float32, tests of gradients float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Tensors = Mapping[str, Floats]
"""Weights by name."""

_TINY = 1e-12


def two_layers(inputs: int, hidden: int, out: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor by name."""
    return {
        "w1.weight": (hidden, inputs),
        "w1.bias": (hidden,),
        "w2.weight": (out, hidden),
        "w2.bias": (out,),
    }


def he_initialise(weight: Floats, generator: np.random.Generator) -> None:
    """Fill weight [out, in] in place from N(0, 2 / in) (He et al. 2015)."""
    weight[...] = generator.standard_normal(weight.shape) * np.sqrt(2 / weight.shape[1])


def forward(tensors: Tensors, x: Floats) -> tuple[Floats, Floats]:
    """Compute z [n, out] of x [n, in], and the hidden layer [n, hidden] for `backward`."""
    hidden: Floats = x @ tensors["w1.weight"].T
    hidden += tensors["w1.bias"]
    np.maximum(hidden, 0, out=hidden)
    z: Floats = hidden @ tensors["w2.weight"].T
    z += tensors["w2.bias"]
    return z, hidden


def backward(tensors: Tensors, gradients: Tensors, x: Floats, hidden: Floats, dz: Floats) -> None:
    """Write the gradients of a loss into `gradients`; dz [n, out] is its gradient at z."""
    np.matmul(dz.T, hidden, out=gradients["w2.weight"])
    np.sum(dz, axis=0, out=gradients["w2.bias"])
    dhidden: Floats = dz @ tensors["w2.weight"]
    dhidden *= hidden > 0
    np.matmul(dhidden.T, x, out=gradients["w1.weight"])
    np.sum(dhidden, axis=0, out=gradients["w1.bias"])


def normalise(z: Floats) -> tuple[Floats, Floats]:
    """Compute unit rows y [n, d] of z, and 1 / |z| [n, 1]; rows of zeros stay zero."""
    length = np.sqrt(np.einsum("nd,nd->n", z, z))[:, None]
    inverse: Floats = np.divide(1, length, out=np.zeros_like(length), where=length > _TINY)
    return z * inverse, inverse


def normalise_backward(y: Floats, inverse: Floats, dy: Floats) -> Floats:
    """Compute the gradient at z from dy, the gradient at y = z / |z|: (dy - y (y . dy)) / |z|."""
    along = np.einsum("nd,nd->n", y, dy)[:, None]
    dz: Floats = (dy - y * along) * inverse
    return dz
