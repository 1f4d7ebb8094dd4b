"""Comparison of the vectors of two encoders."""

from __future__ import annotations

import numpy as np

from patina_hooks.models.similarity import nearest_passages, row_cosines


def test_zero_row_is_equal_to_a_zero_row_only() -> None:
    zero, unit = np.zeros((1, 3), np.float32), np.eye(3, dtype=np.float32)[:1]
    pairs = ((zero, zero), (zero, unit), (unit, zero), (unit, unit), (unit, -unit))
    assert [float(row_cosines(*pair)[0]) for pair in pairs] == [1, 0, 0, 1, -1]


def test_nearest_passages_are_those_with_the_smallest_angle() -> None:
    angles = np.linspace(0, np.pi / 2, 40)
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert nearest_passages(vectors[[0, 39]], vectors, 3) == [frozenset({0, 1, 2}), frozenset({37, 38, 39})]
    assert nearest_passages(vectors[:1], vectors[:2], 3) == [frozenset({0, 1})]
