"""The loop, through both trainers: it learns, stops when it should, and can be interrupted at any epoch."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
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

from patina_hooks.projection.weights import open_projection, weights_hash
from patina_hooks.specs.training import TooLittleToLearn, Trained
from patina_hooks.training.trainers.layers import Tensors
from patina_hooks.training.trainers.loop import TrainingLoop
from patina_hooks.training.trainers.optimiser import Parameters

_EITHER = pytest.mark.parametrize("name", TRAINERS)
_NONE = pairs(range(0), 1)


def _hash(trained: Trained) -> str:
    return weights_hash(trained.weights)


@_EITHER
@pytest.mark.parametrize("best_of", [1, 3])
def test_what_can_be_learned_is_learned_and_holds_for_later_sessions(name: str, best_of: int) -> None:
    of = with_settings(task(sessions=60, held=20), out=24, epochs=12, power=0.0, best_of=best_of)
    watcher = Watcher()
    trained = TRAINERS[name](of, watcher)
    losses = [step.loss for step in trained.steps]
    held = [step.held_loss for step in trained.steps if step.held_loss is not None]
    assert losses[-1] < 0.6 * losses[0]
    assert min(held) < 0.8 * held[0]
    projected = open_projection(trained.weights, trained.metadata)(of.vectors)
    assert found(projected, of.held, 6) > 1.5 * found(of.vectors, of.held, 6)
    assert trained.steps == tuple(watcher.steps)
    assert [step.epoch for step in trained.steps] == list(range(1, len(trained.steps) + 1))


@_EITHER
@pytest.mark.parametrize("after", [1, 4, 6])
def test_going_on_from_a_checkpoint_ends_in_the_same_weights(name: str, after: int) -> None:
    whole = TRAINERS[name](task(), Watcher())
    interrupted = Watcher(interrupt_after=after)
    with pytest.raises(PlugPulled):
        TRAINERS[name](task(), interrupted)
    going_on = Watcher(begin_with=interrupted.states[-1])
    resumed = TRAINERS[name](task(), going_on)
    assert _hash(resumed) == _hash(whole)
    assert (resumed.steps, resumed.stopped) == (whole.steps, whole.stopped)
    assert len(going_on.steps) == len(whole.steps) - after


@_EITHER
def test_the_same_task_trains_the_same_weights_here_and_in_another_process(name: str) -> None:
    code = (
        "from projection.small_trainings import TRAINERS, Watcher, task\n"
        "from patina_hooks.projection.weights import weights_hash\n"
        f"print(weights_hash(TRAINERS[{name!r}](task(), Watcher()).weights))"
    )
    path = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "7"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    first, again = (_hash(TRAINERS[name](task(), Watcher())) for _ in range(2))
    assert first == again == done.stdout.strip()
    assert _hash(TRAINERS[name](with_settings(task(), seed=1), Watcher())) != first


@_EITHER
def test_training_leaves_what_it_was_given_and_the_common_generator_alone(name: str) -> None:
    of = task()
    before, state = of.vectors.copy(), np.random.get_state(legacy=False)["state"]["key"]
    TRAINERS[name](of, Watcher())
    assert np.array_equal(of.vectors, before)
    assert np.array_equal(np.random.get_state(legacy=False)["state"]["key"], state)


@_EITHER
def test_it_stops_when_later_pairs_get_no_better_and_keeps_the_best(name: str) -> None:
    of = with_settings(task(), epochs=60, patience=3, rate=1e-2)
    watcher = Watcher()
    trained = TRAINERS[name](of, watcher)
    assert trained.stopped == "no better on later pairs"
    held = [step.held_loss for step in trained.steps]
    best = held.index(min(loss for loss in held if loss is not None))
    assert len(held) == best + 1 + 3
    kept = TRAINERS[name](with_settings(of, epochs=best + 1), Watcher())
    assert _hash(trained) == _hash(kept)
    again = TRAINERS[name](of, Watcher(begin_with=watcher.states[-1]))
    assert (_hash(again), again.stopped, again.steps) == (_hash(trained), trained.stopped, trained.steps)


class _AwayFromZero:
    """Pulls every parameter to one, where the later pairs would have zero."""

    def batches(self, epoch: int) -> Iterator[int]:
        return iter(range(3))

    def learn(self, tensors: Tensors, gradients: Tensors, batch: int) -> float:
        gradients["all"][:] = tensors["all"] - 1
        return float(np.square(gradients["all"]).mean())

    def held_loss(self, tensors: Tensors) -> float:
        return float(np.square(tensors["all"]).mean())


def test_where_later_pairs_only_get_worse_the_untrained_parameters_are_kept() -> None:
    parameters = Parameters({"all": (5,)})
    training = TrainingLoop(_AwayFromZero(), parameters, replace(SETTINGS, patience=2))
    assert training.run(Watcher()) == "no better on later pairs"
    assert len(training.steps) == 2
    assert training.best["all"].tolist() == [0] * 5
    assert parameters.tensors["all"].all()


@_EITHER
def test_without_later_pairs_all_epochs_run_and_the_last_weights_count(name: str) -> None:
    of = replace(task(), held=_NONE)
    trained = TRAINERS[name](of, Watcher())
    assert (len(trained.steps), trained.stopped) == (SETTINGS.epochs, "")
    assert {step.held_loss for step in trained.steps} == {None}
    assert _hash(trained) != _hash(TRAINERS[name](with_settings(of, epochs=5), Watcher()))


@_EITHER
def test_time_runs_out_between_two_epochs_or_within_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = count()
    clock = SimpleNamespace(monotonic=lambda: next(ticks))
    monkeypatch.setattr("patina_hooks.training.trainers.loop.time", clock)
    batches = -(-len(task().train) // SETTINGS.batch_size)
    bounded = TRAINERS[name](with_settings(task(), seconds=2.5 * batches), Watcher())
    assert (bounded.stopped, len(bounded.steps)) == ("out of time", 2)
    assert _hash(bounded) == _hash(TRAINERS[name](with_settings(task(), epochs=2), Watcher()))
    at_once = TRAINERS[name](with_settings(task(), seconds=0), Watcher())
    assert (at_once.stopped, at_once.steps) == ("out of time", ())
    assert _hash(at_once) == _hash(TRAINERS[name](with_settings(task(), epochs=0), Watcher()))


@_EITHER
@pytest.mark.parametrize("held", [0, 6])
@pytest.mark.parametrize(("rate", "batch_size"), [(1e30, 16), (1e39, 1000)])
def test_steps_that_overflow_end_training_with_weights_that_are_finite(
    name: str, held: int, rate: float, batch_size: int
) -> None:
    of = with_settings(task(held=held), rate=rate, batch_size=batch_size)
    trained = TRAINERS[name](of, Watcher())
    assert trained.stopped == "the loss is not finite"
    assert all(np.isfinite(tensor).all() for tensor in trained.weights.values())


@_EITHER
def test_no_pairs_are_too_little(name: str) -> None:
    with pytest.raises(TooLittleToLearn, match="no pairs"):
        TRAINERS[name](replace(task(), train=_NONE), Watcher())


def test_pairs_of_one_session_alone_leave_no_triplet() -> None:
    with pytest.raises(TooLittleToLearn, match="cannot draw negatives"):
        TRAINERS["mlp"](task(sessions=1, held=0), Watcher())
