"""A drop is told from chance, on the questions that both evaluations have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from patina_hooks.errors import UsageError
from patina_hooks.evaluation.channels import CHANNELS
from patina_hooks.evaluation.metrics import Worth
from patina_hooks.evaluation.regression import Verdict, compare, read_baseline
from patina_hooks.evaluation.results import Answer, Evaluation, Measured, SetResult, as_json

MEASURED = Measured("e" * 64, "m", "r", "f", "none", {}, None)


def result(name: str, ranks: list[float], *, first: int = 0) -> SetResult:
    return SetResult(
        name,
        tuple(
            Answer(f"{name} {n}", f"session {n}", dict.fromkeys(CHANNELS, Worth(rr, rr, rr)))
            for n, rr in enumerate(ranks, first)
        ),
    )


def evaluated(*sets: SetResult, events_hash: str = "e" * 64) -> Evaluation:
    return Evaluation(sets, Measured(events_hash, "m", "r", "f", "none", {}, None))


def since(folder: Path, then: Evaluation, now: Evaluation, drop: float = 0.02) -> Verdict:
    path = folder / "baseline.json"
    path.write_text(json.dumps(as_json(then)), "utf-8")
    return compare(now, read_baseline(path), drop)


def test_the_same_answers_are_no_drop(tmp_path: Path) -> None:
    one = evaluated(result("goal", [1.0, 0.5] * 10))
    found = since(tmp_path, one, one, 0.0)
    assert (found.change.value, found.change.low, found.change.high) == (0.0, 0.0, 0.0)
    assert (found.fell, found.same_history) == (False, True)


def test_a_drop_that_is_large_and_sure(tmp_path: Path) -> None:
    then, now = evaluated(result("goal", [1.0] * 20)), evaluated(result("goal", [1.0, 0.5] * 10))
    found = since(tmp_path, then, now)
    assert found.change.value == -0.25
    assert found.fell
    assert not since(tmp_path, now, then).fell
    assert not since(tmp_path, then, now, 0.3).fell, "tolerated"


def test_a_drop_that_may_be_chance_is_none(tmp_path: Path) -> None:
    then = evaluated(result("goal", [0.5] * 20))
    now = evaluated(result("goal", [0.0] * 8 + [1.0] * 6 + [0.5] * 6))
    found = since(tmp_path, then, now)
    assert found.change.value == pytest.approx(-0.05)
    assert not found.fell


def test_too_few_questions_never_fail_a_build(tmp_path: Path) -> None:
    found = since(tmp_path, evaluated(result("goal", [1.0] * 9)), evaluated(result("goal", [0.0] * 9)))
    assert found.change.value == -1.0
    assert not found.fell


def test_only_questions_of_both_are_compared_and_sets_weigh_the_same(tmp_path: Path) -> None:
    then = evaluated(result("goal", [1.0] * 20), result("context", [1.0] * 100))
    now = evaluated(
        result("goal", [0.0] * 20 + [1.0] * 30),
        result("context", [1.0] * 100),
        result("held_out", [0.0] * 20),
        events_hash="f" * 64,
    )
    found = since(tmp_path, then, now)
    assert found.change.n == 120
    assert found.change.value == -0.5
    assert set(found.sets) == {"goal", "context"}
    assert found.fell
    assert not found.same_history


def test_nothing_in_common(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no question of the baseline is asked here"):
        since(tmp_path, evaluated(result("goal", [1.0])), evaluated(result("goal", [1.0], first=1)))


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"queries": [], "measured": {}}', '{"queries": {"a": {"b": 1}}}']
)
def test_a_file_that_is_no_baseline(tmp_path: Path, text: str) -> None:
    path = tmp_path / "baseline.json"
    path.write_text(text)
    with pytest.raises(UsageError, match="is no output of patina eval --json") as raised:
        read_baseline(path)
    assert raised.value.hint == "patina eval --json > baseline.json"
    with pytest.raises(UsageError, match="cannot be read"):
        read_baseline(tmp_path / "none")
