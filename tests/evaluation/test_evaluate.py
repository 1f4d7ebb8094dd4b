"""Evaluation end to end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from evaluation.past import Past, make_past, use_blind
from support.memory import Memory

from patina_hooks.errors import StateError, UsageError
from patina_hooks.evaluation.evaluate import MINED, evaluate, tune
from patina_hooks.evaluation.methods import METHODS
from patina_hooks.evaluation.results import against, evaluation_as_json
from patina_hooks.projection.active import load_active, store_active


def test_every_set_is_measured_in_every_channel(past: Past) -> None:
    evaluation = evaluate(past.memory.patina())
    assert [one.name for one in evaluation.sets] == list(MINED)
    for one in evaluation.sets:
        assert one.n >= (4 if one.name == "commit_files_cold" else 10)
        absent = [] if one.name.startswith("commit_files") else ["recent"]
        assert one.methods == [method for method in METHODS if method not in absent]
        for method in one.methods:
            figures = one.figures(method)
            assert (figures.low is None) == (figures.high is None) == one.is_small
            assert 0 <= (figures.low or 0) <= figures.mrr <= (figures.high or 1) <= 1
        assert one.figures("hybrid").mrr > one.figures("popularity").mrr
    assert against(evaluation.non_empty_sets, "popularity").is_above_zero
    assert evaluation.measured.projection == "none"
    assert evaluation.measured.model == "acme-64"


def test_the_same_memory_gives_the_same_figures(past: Past) -> None:
    first, second = (evaluation_as_json(evaluate(past.memory.patina())) for _ in range(2))
    assert first == second


def test_a_projection_changes_what_vectors_say_and_nothing_else(tmp_path: Path) -> None:
    past = make_past(tmp_path / "repository")
    patina = past.memory.patina()
    moment = past.memory.clock - 5 * 5 * 60
    raw = evaluate(patina, names=["context"], after=moment - 1)
    use_blind(patina, moment)
    patina.sync()
    seen = evaluate(patina, names=["context"])
    assert (seen.measured.projection, seen.measured.after) == ("blind", moment - 1)
    before, after = raw.sets[0], seen.sets[0]
    assert after.n == before.n > 0
    assert after.figures("vector").mrr < before.figures("vector").mrr
    for method in ("bm25", "popularity"):
        assert after.figures(method) == before.figures(method)


def test_until_a_sync_has_swapped_projections_nothing_is_measured(tmp_path: Path) -> None:
    """What is known of the one in use says nothing of the one that still answers."""
    past = make_past(tmp_path / "repository", 4)
    patina = past.memory.patina()
    use_blind(patina, past.memory.clock - 5 * 5 * 60)
    raw = evaluate(patina, names=["goal"]).measured
    assert (raw.projection, raw.after) == ("none", None), "the raw model answers as yet"
    patina.sync()
    assert evaluate(patina, names=["commit_files"], after=0).measured.projection == "blind"
    active = load_active(past.memory.state)
    assert active is not None
    for other in (None, replace(active, weights="f" * 64, split=0)):
        store_active(past.memory.state, other)
        with pytest.raises(StateError, match="vectors of a projection that is no longer in use") as raised:
            evaluate(patina)
        assert raised.value.hint == "patina sync"
    with pytest.raises(StateError, match="no longer in use"):
        tune(patina)


def test_the_difference_to_a_baseline_is_over_the_sets_that_have_it(past: Past) -> None:
    asked = evaluate(past.memory.patina()).non_empty_sets
    files = [one for one in asked if one.name.startswith("commit_files")]
    assert 0 < against(asked, "recent").n == sum(one.n for one in files)
    assert against(asked, "recent") == against(files, "recent")
    assert against(asked, "bm25").n == sum(one.n for one in asked)


def test_only_later_questions(past: Past) -> None:
    patina = past.memory.patina()
    moment = past.memory.clock - 5 * 5 * 60
    evaluation = evaluate(patina, names=["commit_files"], after=moment)
    assert 0 < evaluation.sets[0].n < 24
    assert evaluation.measured.after == moment


def test_few_sessions_claim_no_interval(tmp_path: Path) -> None:
    past = make_past(tmp_path / "repository", 4)
    evaluation = evaluate(past.memory.patina())
    told = {one.name: one for one in evaluation.sets}
    assert told["context"].n == 3
    assert told["context"].is_small
    assert told["context"].figures("hybrid").low is None
    assert told["context"].figures("hybrid").mrr > 0


def test_nothing_to_measure_on(tmp_path: Path) -> None:
    memory = Memory.make(tmp_path / "repository")
    with pytest.raises(StateError, match="nothing is recorded yet"):
        evaluate(memory.patina())
    memory.commit("a first commit of one file", {"a.py": "1"})
    memory.sync()
    with pytest.raises(
        StateError, match="not enough history to evaluate: 0 session documents, 1 commit, 0"
    ) as raised:
        evaluate(memory.patina())
    assert "  context, commit_session, goal, held_out: no session documents\n" in str(raised.value)
    assert "  commit_files: no commit changes a file that an earlier commit changed\n" in str(raised.value)


@pytest.mark.parametrize(
    ("sessions", "names"),
    [(0, ("context", "commit_session", "goal", "held_out", "commit_files_cold")), (1, ("context",))],
)
def test_evaluation_gives_a_reason_when_a_set_has_no_question(
    tmp_path: Path, sessions: int, names: tuple[str, ...]
) -> None:
    memory = make_past(tmp_path / "repository", sessions).memory
    memory.commit("teach the oven to obey bakers", {"src/oven.py": "1"})
    memory.sync()
    evaluation = evaluate(memory.patina())
    reasons = {one.name: one.reason for one in evaluation.sets}
    assert {name for name, reason in reasons.items() if reason} >= set(names)
    assert all(bool(one.n) == (not one.reason) for one in evaluation.sets)
    assert reasons["context"] == (
        "needs 2 session documents, there is 1" if sessions else "no session documents"
    )


def test_evaluation_names_the_date_when_every_question_is_earlier(past: Past) -> None:
    with pytest.raises(StateError, match="no question is dated after 2100-01-0"):
        evaluate(past.memory.patina(), after=4_102_488_000)


def test_without_vectors_it_says_what_to_type(tmp_path: Path) -> None:
    memory = Memory.make(tmp_path / "repository")
    memory.write(".patina/oxidize.yaml", "embedding_model: no-such-model\n")
    memory.commit("feed the marmots", {"a.py": "1"})
    memory.sync()
    with pytest.raises(StateError, match="there are no vectors yet") as raised:
        evaluate(memory.patina())
    assert raised.value.hint == "patina sync"


def test_an_unknown_set_is_usage(past: Past) -> None:
    with pytest.raises(UsageError, match="there is no query set contxt") as raised:
        evaluate(past.memory.patina(), names=["contxt"])
    assert "commit_files_cold" in raised.value.hint
