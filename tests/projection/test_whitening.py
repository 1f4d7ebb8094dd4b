"""Whitening is PCA whitening: cut, weighed by a power of the variance, and the same each time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from projection.small_trainings import SETTINGS, Watcher, task, unit, with_settings

from patina_hooks.projection.weights import open_projection, weights_hash
from patina_hooks.specs.training import TooLittleToLearn
from patina_hooks.training.trainers import residual, whitening

if TYPE_CHECKING:
    from patina_hooks.specs.vectors import Vectors


def _rows(count: int = 400, dimensions: int = 16) -> Vectors:
    draw = np.random.default_rng(2)
    return unit(draw.standard_normal((count, dimensions)) * np.linspace(3, 0.3, dimensions) + 0.4)


@pytest.mark.parametrize("power", [0.0, 0.35, 1.0])
def test_the_variance_of_each_direction_is_what_the_power_leaves(power: float) -> None:
    rows = _rows()
    mean, components = whitening.fit(rows, 16, power)
    u = (rows - mean) @ components.T
    covariance = np.cov(u.T, bias=True)
    variances = np.sort(np.linalg.eigvalsh(np.cov(rows.T, bias=True)))[::-1] ** (1 - power)
    np.testing.assert_allclose(covariance, np.diag(variances / variances.sum()), atol=1e-6)
    assert np.square(u).sum(axis=1).mean() == pytest.approx(1, abs=1e-5)


def test_the_directions_of_least_variance_are_cut() -> None:
    rows = _rows()
    _, all_of_them = whitening.fit(rows, 16, 0)
    _, kept = whitening.fit(rows, 5, 0)
    cosines = (kept / np.linalg.norm(kept, axis=1, keepdims=True)) @ all_of_them.T
    assert (np.abs(cosines).argmax(axis=1) == np.arange(5)).all()


@pytest.mark.parametrize(("count", "out", "wanted"), [(400, 99, 16), (9, 16, 8), (2, 16, 1)])
def test_there_are_never_more_dimensions_than_rows_span(count: int, out: int, wanted: int) -> None:
    of = replace(task(replace(SETTINGS, out=out)), vectors=_rows(count))
    trained = whitening.train(of, Watcher())
    assert trained.weights["components"].shape == (wanted, 16)
    assert trained.metadata["output_dim"] == str(wanted)
    projected = open_projection(trained.weights, trained.metadata)(_rows(count))
    np.testing.assert_allclose(np.linalg.norm(projected, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("rows", [_rows(0), _rows(1), np.repeat(_rows(1), 9, axis=0)])
def test_texts_that_do_not_differ_are_too_little(rows: Vectors) -> None:
    with pytest.raises(TooLittleToLearn, match=f"^cannot whiten {len(rows)} texts that are all equal"):
        whitening.train(replace(task(), vectors=rows), Watcher())


def test_signs_are_fixed_and_blocks_leave_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = _rows()
    _, components = whitening.fit(rows, 16, 0.35)
    assert (components[np.arange(16), np.abs(components).argmax(axis=1)] > 0).all()
    assert np.array_equal(whitening.fit(rows.copy(), 16, 0.35)[1], components)
    monkeypatch.setattr(whitening, "_BLOCK", 7)
    np.testing.assert_allclose(whitening.fit(rows, 16, 0.35)[1], components, atol=1e-5)


def test_pairs_and_seed_do_not_matter() -> None:
    first = whitening.train(task(), Watcher())
    other = whitening.train(with_settings(task(held=20), seed=5), Watcher())
    assert weights_hash(first.weights) == weights_hash(other.weights)
    assert (first.steps, first.stopped) == ((), "")


def test_a_residual_begins_as_whitening_to_the_bit() -> None:
    of = with_settings(task(), epochs=0)
    white, start = whitening.train(of, Watcher()), residual.train(of, Watcher())
    projected, expected = (open_projection(one.weights, one.metadata)(of.vectors) for one in (start, white))
    assert np.array_equal(projected, expected)
    moved = residual.train(with_settings(of, epochs=2), Watcher())
    assert not np.array_equal(open_projection(moved.weights, moved.metadata)(of.vectors), expected)
