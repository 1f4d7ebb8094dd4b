"""Trainers of plugins: used where they help, told of where they fail, and no other is stopped."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from evaluation.past import space_of
from projection.learning import (
    MODEL,
    projected_by,
    session_id,
)
from projection.runs import (
    QUESTION,
    answered_by,
    asks_for,
    named,
    run,
)
from support.memory import Memory, memory_of

from patina_hooks.errors import PluginError
from patina_hooks.specs.training import Trained, TrainingStep, TrainingTask, Watch
from patina_hooks.training.reports.report import last_report
from patina_hooks.training.trainers.whitening import train as train_whitening

if TYPE_CHECKING:
    from patina_hooks.specs.vectors import Vectors

ODD = MODEL + "  mine: {type: odd}\n  whitening: {type: whitening, layers: [32, 24]}\n"


def whitened(task: TrainingTask, **changes: Any) -> Trained:  # noqa: ANN401
    class Silent:
        def step(self, step: TrainingStep, state: object) -> None: ...
        def resume(self) -> None: ...

    return replace(train_whitening(task, Silent()), **changes)


def raises(error: BaseException) -> Callable[..., object]:
    def train(task: TrainingTask, watch: Watch) -> object:
        raise error

    return train


def gives(**changes: Any) -> Callable[..., object]:  # noqa: ANN401
    return lambda task, watch: whitened(task, **changes)


BAD: dict[str, Callable[..., object]] = {
    "raises": raises(ValueError("the odd trainer")),
    "runs out of memory": raises(MemoryError()),
    "loses a file": raises(OSError(2, "no such file")),
    "asserts": raises(AssertionError()),
    "leaves": raises(SystemExit(3)),
    "gives nothing": lambda task, watch: None,
    "gives a number": lambda task, watch: 3,
    "gives no tensors": gives(weights=None),
    "gives texts": gives(weights={"mean": ["a"]}),
    "gives tensors of another layout": gives(weights={"w1.weight": np.ones((2, 2), np.float32)}),
    "gives no numbers": gives(
        weights={"mean": np.full(64, np.nan, np.float32), "components": np.ones((2, 64), np.float32)}
    ),
    "gives weights for another model": gives(
        weights={"mean": np.zeros(9, np.float32), "components": np.ones((2, 9), np.float32)}, metadata={}
    ),
    "gives no metadata": gives(metadata=None),
    "gives metadata that lie": gives(metadata={"architecture": "mlp-2layer"}),
    "gives no steps": gives(steps=None),
    "gives odd steps": gives(steps=(1, 2)),
    "gives a loss that is no number": gives(steps=(TrainingStep(1, 1, float("nan"), None),)),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_trainer_that_fails_is_never_used_and_stops_no_other(memory: Memory, name: str) -> None:
    asks_for(memory, ODD)
    providers = projected_by(BAD[name])
    found = run(memory, providers)
    bad = named(found)
    assert (bad.weights, bad.gain) == ("", None)
    assert bad.why
    assert found.active == "whitening"
    assert run(memory, providers, force=True).active == "whitening"
    assert last_report(memory.state) is not None
    # Once its maker has mended it, it is trained.
    assert named(run(memory, projected_by(gives()))).weights


@pytest.mark.parametrize("part", ["trainer", "projection"])
def test_strict_mode_raises_what_a_trainer_or_a_projection_raises(memory: Memory, part: str) -> None:
    asks_for(memory, ODD)
    fails = raises(ValueError("the odd failure"))
    strict = projected_by(
        fails if part == "trainer" else gives(), fails if part == "projection" else None, strict=True
    )
    with pytest.raises(PluginError, match="the odd failure"):
        run(memory, strict)


def test_a_trainer_that_is_not_there_is_told(memory: Memory) -> None:
    asks_for(memory, ODD)
    providers = projected_by(gives())
    del vars(sys.modules["odd_projection"])["train"]
    found = run(memory, providers)
    assert "cannot open odd_projection:train" in named(found).why
    assert found.active == "whitening"


def test_a_trainer_leaves_stdout_and_folder_alone_when_it_prints_and_changes_folder(
    memory: Memory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asks_for(memory, ODD)
    folder = Path.cwd()

    def train(task: TrainingTask, watch: Watch) -> Trained:
        sys.stdout.write("printed by the trainer\n")
        os.chdir(tmp_path)
        return whitened(task)

    assert named(run(memory, projected_by(train))).weights
    assert Path.cwd() == folder
    captured = capsys.readouterr()
    assert "printed by the trainer" not in captured.out
    assert "printed by the trainer" in captured.err


class Halved:
    """A projection of a plugin's own layout: the first half of a whitened vector."""

    def __init__(self, weights: Any, metadata: object) -> None:  # noqa: ANN401
        self._mean, self._components = weights["m"], weights["c"]
        self.dimensions = len(self._components)

    def __call__(self, vectors: Vectors) -> Vectors:
        seen = np.matmul((vectors - self._mean)[:, None, :], self._components.T)[:, 0, :]
        unit: Vectors = (seen / np.linalg.norm(seen, axis=1, keepdims=True)).astype(np.float32)
        return unit


def train_halved(task: TrainingTask, watch: Watch) -> Trained:
    weights = whitened(task).weights
    return Trained({"m": weights["mean"], "c": weights["components"][:20]}, {"by": "acme"})


def test_a_trainer_of_others_that_helps_is_used_and_goes_with_its_plugin(memory: Memory) -> None:
    asks_for(memory, MODEL + "  mine: {type: odd-plugin/odd}\n")
    providers = projected_by(train_halved, Halved)
    found = run(memory, providers)
    assert (found.active, space_of(memory).projected) == ("mine", 20)
    with memory_of(memory.repository, providers) as patina:
        assert patina.search(QUESTION, mode="vector")[0].session == session_id(7)
    report = memory.sync()
    assert any("the raw model answers" in fault.error for fault in report.faults)
    assert answered_by(memory) == ""
    memory.sync(providers=providers)
    assert space_of(memory).projection == found.weights
