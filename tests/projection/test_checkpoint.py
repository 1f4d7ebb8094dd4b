"""Checkpoints: of this very task or of none; what cannot be read or written costs only time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from projection.small_trainings import task, with_settings

from patina_hooks.specs.training import TrainingStep, TrainingTask
from patina_hooks.training.trainers.checkpoint import Checkpoint
from patina_hooks.training.training_set import digest_task

STEP = TrainingStep(1, 3, 0.5, None)
STATE = {"parameters": np.arange(6, dtype=np.float32), "curve": np.ones((1, 3), np.float32)}


def test_the_state_of_the_last_epoch_is_given_back(tmp_path: Path) -> None:
    told: list[TrainingStep] = []
    Checkpoint(tmp_path / "new", "task", told.append).step(STEP, STATE)
    assert told == [STEP]
    watch = Checkpoint(tmp_path / "new", "task", told.append)
    found = watch.resume()
    assert found is not None
    assert {name: tensor.tolist() for name, tensor in found.items()} == {
        name: tensor.tolist() for name, tensor in STATE.items()
    }
    assert Checkpoint(tmp_path / "new", "another", told.append).resume() is None


@pytest.mark.parametrize("content", [b"", b"rubbish", b"\0" * 64, b"\xff" * 64])
def test_a_damaged_one_is_as_none(tmp_path: Path, content: bytes) -> None:
    watch = Checkpoint(tmp_path, "task", lambda _: None)
    watch.step(STEP, STATE)
    (path,) = tmp_path.iterdir()
    path.write_bytes(content)
    assert watch.resume() is None


def test_one_that_cannot_be_written_does_not_end_training(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way of the folder")
    told: list[TrainingStep] = []
    Checkpoint(tmp_path / "file", "task", told.append).step(STEP, STATE)
    assert told == [STEP]


def test_a_task_is_known_by_all_that_it_gives_to_learn_from() -> None:
    one = task()
    others: list[TrainingTask] = [
        replace(one, vectors=one.vectors[::-1].copy()),
        replace(one, train=one.held),
        replace(one, held=one.train),
        replace(one, train=replace(one.train, weights=one.train.weights * 2)),
        replace(one, train=replace(one.train, scopes=one.train.scopes + 1)),
        replace(one, groups=[frozenset({0, 9}), *one.groups[1:]]),
    ]
    digests = {digest_task(each, "digest") for each in (one, *others)} | {digest_task(one, "another")}
    assert len(digests) == len(others) + 2
    assert digest_task(task(), "digest") == digest_task(one, "digest")
    assert digest_task(with_settings(one, seconds=3.0), "digest") == digest_task(one, "digest")
