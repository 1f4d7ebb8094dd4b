"""A drop is told from chance, on the questions that both evaluations have; what cannot be told is said."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from patina_hooks.errors import UsageError
from patina_hooks.evaluation.methods import METHODS, READING
from patina_hooks.evaluation.regression import (
    GONE,
    TOO_FEW,
    UNSURE,
    RegressionVerdict,
    compare_with_baseline,
    read_baseline,
)
from patina_hooks.evaluation.results import Answer, Evaluation, Measured, SetResult, evaluation_as_json
from patina_hooks.evaluation.statistics.intervals import FEWEST
from patina_hooks.evaluation.statistics.metrics import QuestionMetrics


def result(name: str, ranks: list[float], *, first: int = 0, **others: float) -> SetResult:
    """Each question is a session's own. others: method -> what it is worth to all, not as the rest."""
    return SetResult(
        name,
        tuple(
            Answer(
                f"{name} {n}",
                f"session {n}",
                {method: QuestionMetrics(*[others.get(method, rr)] * 3) for method in METHODS},
            )
            for n, rr in enumerate(ranks, first)
        ),
    )


def evaluated(*sets: SetResult, events_hash: str = "e" * 64, after: int | None = None) -> Evaluation:
    return Evaluation(sets, Measured(events_hash, "m", "r", "f", "none", {}, after))


def since(
    folder: Path, then: Evaluation, now: Evaluation, drop: float = 0.02, *, narrowed: bool = False
) -> RegressionVerdict:
    path = folder / "baseline.json"
    path.write_text(json.dumps(evaluation_as_json(then)), "utf-8")
    return compare_with_baseline(now, read_baseline(path), drop, narrowed=narrowed)


def outcomes(found: RegressionVerdict) -> Mapping[str, str]:
    """Of hybrid, by set."""
    return {one.name: one.changes["hybrid"].outcome for one in found.sets}


def test_the_same_answers_are_no_drop(tmp_path: Path) -> None:
    one = evaluated(result("goal", [1.0, 0.5] * 10))
    found = since(tmp_path, one, one, 0.0)
    assert (found.change.value, found.change.low, found.change.high) == (0.0, 0.0, 0.0)
    assert {change.outcome for change in found.overall.values()} == {"not worse"}
    assert (found.fell, found.trouble, found.same_history) == (False, "", True)


def test_a_drop_that_is_large_and_sure(tmp_path: Path) -> None:
    then, now = evaluated(result("goal", [1.0] * 20)), evaluated(result("goal", [1.0, 0.5] * 10))
    found = since(tmp_path, then, now)
    assert found.change.value == -0.25
    assert outcomes(found) == {"goal": "worse"}
    assert found.fell
    assert outcomes(since(tmp_path, now, then)) == {"goal": "not worse"}
    assert outcomes(since(tmp_path, then, now, 0.5)) == {"goal": "not worse"}, (
        "the whole interval is tolerated"
    )


def test_a_drop_that_may_be_chance_is_neither_worse_nor_not(tmp_path: Path) -> None:
    then = evaluated(result("goal", [0.5] * 20))
    now = evaluated(result("goal", [0.0] * 8 + [1.0] * 6 + [0.5] * 6))
    found = since(tmp_path, then, now)
    assert found.change.value == pytest.approx(-0.05)
    change = found.sets[0].changes["hybrid"]
    assert (change.outcome, change.reason) == ("cannot tell", UNSURE)
    assert (found.fell, found.trouble) == (False, "")


def test_a_method_that_fell_behind_a_hybrid_that_did_not_is_told(tmp_path: Path) -> None:
    then, now = (evaluated(result("goal", [1.0] * 20, vector=rr)) for rr in (1.0, 0.2))
    found = since(tmp_path, then, now)
    told = {method: change.outcome for method, change in found.sets[0].changes.items()}
    assert told == {"hybrid": "not worse", "rrf": "not worse", "vector": "worse", "bm25": "not worse"}
    assert found.fell


def test_baselines_that_do_not_read_the_question_fail_no_build(tmp_path: Path) -> None:
    then, now = (evaluated(result("goal", [1.0] * 20, popularity=rr, recent=rr)) for rr in (1.0, 0.0))
    assert not since(tmp_path, then, now).fell


def test_too_few_sessions_that_fell_are_no_silent_pass(tmp_path: Path) -> None:
    found = since(tmp_path, evaluated(result("goal", [1.0] * 9)), evaluated(result("goal", [0.0] * 9)))
    change = found.sets[0].changes["hybrid"]
    assert (change.difference.value, change.outcome, change.reason) == (-1.0, "cannot tell", TOO_FEW)
    assert not found.fell
    assert "fewer than ten sessions" in found.trouble


def test_nor_is_another_method_that_fell(tmp_path: Path) -> None:
    """Words may still cover for vectors that are gone."""
    then, now = (evaluated(result("goal", [1.0] * 9, vector=rr)) for rr in (1.0, 0.0))
    found = since(tmp_path, then, now)
    assert found.sets[0].changes["hybrid"].outcome == "not worse"
    assert "fewer than ten sessions" in found.trouble


def test_where_no_answer_fell_nobody_has_to_guess(tmp_path: Path) -> None:
    found = since(tmp_path, evaluated(result("goal", [0.5] * 3)), evaluated(result("goal", [0.5, 1.0, 0.5])))
    assert outcomes(found) == {"goal": "not worse"}
    assert found.trouble == ""


def test_a_small_set_beside_a_large_one_does_not_blind_the_gate(tmp_path: Path) -> None:
    then = evaluated(result("goal", [1.0] * 40), result("context", [1.0] * 5))
    now = evaluated(result("goal", [1.0] * 40), result("context", [1.0] * 4 + [0.5]))
    found = since(tmp_path, then, now)
    assert outcomes(found) == {"goal": "not worse", "context": "cannot tell"}
    assert found.trouble == ""


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
    counts = {one.name: (one.queries, one.missing, one.new) for one in found.sets}
    assert counts == {"goal": (50, 0, 30), "context": (100, 0, 0), "held_out": (20, 0, 20)}
    assert found.sets[2].changes == {}
    assert found.fell
    assert not found.same_history


def test_questions_that_are_gone_are_counted_and_half_of_them_is_the_most(tmp_path: Path) -> None:
    then = evaluated(result("goal", [1.0] * 40))
    half, less = (evaluated(result("goal", [1.0] * (40 - gone), first=gone)) for gone in (20, 21))
    found = since(tmp_path, then, half)
    assert (found.sets[0].missing, outcomes(found), found.trouble) == (20, {"goal": "not worse"}, "")
    found = since(tmp_path, then, less)
    assert (found.sets[0].missing, found.sets[0].changes["hybrid"].reason) == (21, GONE)
    assert outcomes(found) == {"goal": "cannot tell"}
    assert "goal (21 of 40 questions)" in found.trouble
    assert "learned from" not in found.trouble
    later = since(tmp_path, then, evaluated(result("goal", [1.0] * 19, first=21), after=5))
    assert "queries that a projection or weights were trained on are excluded" in later.trouble


def test_what_most_questions_are_gone_of_has_no_part_in_the_whole(tmp_path: Path) -> None:
    then = evaluated(result("goal", [1.0] * 40), result("context", [1.0] * 40))
    now = evaluated(result("goal", [1.0] * 40), result("context", [0.0] * 10, first=30))
    found = since(tmp_path, then, now)
    assert found.change.n == 40
    assert outcomes(found) == {"goal": "not worse", "context": "cannot tell"}
    assert "context (30 of 40 questions)" in found.trouble


def test_a_set_of_the_baseline_that_is_not_asked_is_missed_unless_that_was_meant(tmp_path: Path) -> None:
    then = evaluated(result("goal", [1.0] * 20), result("queries", [1.0] * 20))
    now = evaluated(result("goal", [1.0] * 20))
    assert "queries (20 of 20 questions)" in since(tmp_path, then, now).trouble
    assert since(tmp_path, then, now, narrowed=True).trouble == ""


def test_chance_alone_seldom_fails_a_build_of_many_comparisons(tmp_path: Path) -> None:
    """Then and now are as good. Each comparison for itself, at 95 %, would fail one build of three."""
    rng = np.random.default_rng(3)

    def drawn() -> Evaluation:
        return evaluated(*(varied(name, rng.choice([0.0, 0.5, 1.0], (30, len(METHODS)))) for name in "abcd"))

    builds = [since(tmp_path, drawn(), drawn()) for _ in range(12)]
    singly = [
        any(change.difference.is_below_zero for one in build.sets for change in one.changes.values())
        for build in builds
    ]
    assert sum(singly) >= 3
    assert not any(build.fell for build in builds)


def test_nor_does_it_where_few_sessions_ask(tmp_path: Path) -> None:
    """So far out in the tails too few draws lie to tell; by those alone, one build of six would fail."""
    rng = np.random.default_rng(7)
    fell = 0
    for _ in range(60):
        luck = rng.normal(0.5, 0.12, (2, 6, FEWEST, len(METHODS))).clip(0, 1)
        then, now = (evaluated(*(varied(str(n), ranks) for n, ranks in enumerate(sets))) for sets in luck)
        fell += since(tmp_path, then, now).fell
    assert fell <= 3


def varied(name: str, ranks: NDArray[np.float64]) -> SetResult:
    """ranks: [questions, methods]."""
    metrics = [
        {method: QuestionMetrics(rr, rr, rr) for method, rr in zip(METHODS, row, strict=True)}
        for row in ranks.tolist()
    ]
    return SetResult(name, tuple(Answer(f"{name} {n}", str(n), worth) for n, worth in enumerate(metrics)))


def test_nothing_in_common(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the baseline has no query of this evaluation"):
        since(tmp_path, evaluated(result("goal", [1.0])), evaluated(result("goal", [1.0], first=1)))


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"queries": [], "measured": {}}', '{"queries": {"a": {"b": 1}}}']
)
def test_a_file_that_is_no_baseline(tmp_path: Path, text: str) -> None:
    path = tmp_path / "baseline.json"
    path.write_text(text)
    with pytest.raises(UsageError, match="is not output of patina eval --json") as raised:
        read_baseline(path)
    assert raised.value.hint == "patina eval --json > baseline.json"
    with pytest.raises(UsageError, match="cannot read"):
        read_baseline(tmp_path / "none")


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-0.1", "1.5", "true", '"1"', "null"])
@pytest.mark.parametrize("method", ["hybrid", "vector"])
def test_a_rank_that_can_be_none_is_refused(tmp_path: Path, method: str, value: str) -> None:
    told = dict.fromkeys(READING, "0.5") | {method: value}
    others = ", ".join(f'"{name}": {rr}' for name, rr in told.items() if name != "hybrid")
    answer = f'{{"cluster": "c", "rr": {told["hybrid"]}, "others": {{{others}}}}}'
    path = tmp_path / "baseline.json"
    path.write_text(f'{{"measured": {{"events_hash": "e"}}, "queries": {{"goal": {{"q1": {answer}}}}}}}')
    with pytest.raises(
        UsageError, match=rf"not output of patina eval --json.*{method} of question q1"
    ) as raised:
        read_baseline(path)
    assert raised.value.hint == "patina eval --json > baseline.json"
