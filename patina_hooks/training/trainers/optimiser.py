"""AdamW (Loshchilov and Hutter 2019), in place, over parameters in one flat array."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod, sqrt

import numpy as np
from numpy.typing import DTypeLike

from patina_hooks.training.trainers.layers import Floats

_CHUNK = 1 << 14
"""Parameters updated together: a dozen passes over 64 KB stay in the L1 and L2 caches."""


class Parameters:
    """Named tensors that are views of one flat array, so that all of them are updated and kept at once."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], dtype: DTypeLike = np.float32) -> None:
        self.shapes = dict(shapes)
        self.flat: Floats = np.zeros(sum(prod(shape) for shape in shapes.values()), dtype)
        self.tensors = self.named(self.flat)

    def named(self, flat: Floats) -> dict[str, Floats]:
        """Return views of another flat array of the same shapes, by name."""
        ends = np.cumsum([prod(shape) for shape in self.shapes.values()])
        parts = np.split(flat, ends[:-1])
        return {name: part.reshape(self.shapes[name]) for name, part in zip(self.shapes, parts, strict=True)}

    def like(self) -> Parameters:
        """Create zeros of the same names, shapes and precision, for gradients."""
        return Parameters(self.shapes, self.flat.dtype)


class AdamW:
    """The moments and step count of AdamW.

    rate: the learning rate.
    betas: the decay rates of the first and second moment.
    decay: the decoupled weight decay, relative to rate, of every parameter.
    """

    def __init__(
        self,
        parameters: Floats,
        rate: float,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
        decay: float = 0.01,
    ) -> None:
        self.parameters = parameters
        self.rate, self.betas, self.epsilon, self.decay = rate, betas, epsilon, decay
        self.first, self.second = np.zeros_like(parameters), np.zeros_like(parameters)
        self.steps = 0

    def step(self, gradients: Floats) -> None:
        """Update the parameters in place; `gradients`, of the same length, are overwritten."""
        self.steps += 1
        scratch = np.empty(min(_CHUNK, len(gradients)), gradients.dtype)
        for start in range(0, len(gradients), _CHUNK):
            part = slice(start, start + _CHUNK)
            self._step(part, gradients[part], scratch[: len(gradients[part])])

    def _step(self, part: slice, gradient: Floats, scratch: Floats) -> None:
        parameters, first, second = self.parameters[part], self.first[part], self.second[part]
        keep_first, keep_second = self.betas
        np.multiply(gradient, gradient, out=scratch)
        scratch *= 1 - keep_second
        second *= keep_second
        second += scratch
        gradient *= 1 - keep_first
        first *= keep_first
        first += gradient
        np.sqrt(second, out=scratch)
        scratch *= 1 / sqrt(1 - keep_second**self.steps)
        scratch += self.epsilon
        np.divide(first, scratch, out=scratch)
        scratch *= self.rate / (1 - keep_first**self.steps)
        parameters *= 1 - self.rate * self.decay
        parameters -= scratch
