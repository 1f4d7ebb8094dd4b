"""Weights are tuned on the past, judged on the rest, and used only where that bears them out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from evaluation.past import Past, embedded, make_past, space_of, use_blind

from patina_hooks.evaluation import evaluate
from patina_hooks.evaluation.methods import QuestionEvidence, gather, rankings
from patina_hooks.evaluation.query_sets.mining import MinedQuery, QueryFilter, QuerySet
from patina_hooks.evaluation.query_sets.session_sets import mine_commit_session
from patina_hooks.evaluation.statistics.metrics import measure_ranking
from patina_hooks.evaluation.tuning import _answers, tune_on
from patina_hooks.search.fusion import WEIGHTS
from patina_hooks.search.index.spaces import VectorSpace
from patina_hooks.search.stored_weights import TunedWeights, load_tuned_weights, store_tuned_weights

UNITS = 12
SPACE = VectorSpace("fingerprint", "acme-64", "onnx", 64, "exact")


def simulated(good: str, *, until: int, then: str) -> tuple[QuerySet, list[QuestionEvidence]]:
    """Sixty questions, one a minute: `good` ranks the answer first up to a moment, `then` after it; the
    other methods are noise."""
    rng = np.random.default_rng(7)

    def each() -> Iterator[QuestionEvidence]:
        for when in range(60):
            relevant = int(rng.integers(UNITS))
            fused = {method: dict(enumerate(rng.random(UNITS).tolist())) for method in WEIGHTS}
            fused[good if when <= until else then][relevant] = 1.5
            query = MinedQuery(str(when), "?", frozenset([relevant]), str(when), when, 0, 0)
            yield QuestionEvidence(query, fused, np.zeros(UNITS, np.float32))

    evidence = list(each())
    none = np.array([], np.intp)
    names = tuple(f"{unit:02}" for unit in range(UNITS))
    told = tuple(one.query for one in evidence)
    return QuerySet("simulated", names, names, (), none, none, none, told), evidence


def tuned(*sets: tuple[QuerySet, list[QuestionEvidence]], until: int | None = None) -> TunedWeights:
    return tune_on(sets, SPACE, "hash", until=until)


def test_a_method_that_tells_is_given_weight() -> None:
    found = tuned(simulated("title", until=99, then="title"))
    assert found.weights["title"] > WEIGHTS["title"]
    assert sum(found.weights.values()) == pytest.approx(1, abs=1e-3)
    assert (found.split, found.past, found.n) == (42, 43, 17)
    assert found.is_borne_out
    assert found.delta > 0.2


def test_what_only_the_past_bears_out_is_not_used() -> None:
    found = tuned(simulated("title", until=42, then="vector"))
    assert found.weights["title"] > WEIGHTS["title"]
    assert found.delta < 0
    assert not found.is_borne_out


def test_the_future_does_not_change_what_is_tuned() -> None:
    one, other = (simulated("title", until=42, then=method) for method in ("vector", "session"))
    assert tuned(one).weights == tuned(other).weights


def test_weights_are_judged_on_what_the_projection_did_not_see_either() -> None:
    one = simulated("title", until=99, then="title")
    later = tuned(one, until=47)
    assert (later.split, later.past, later.n) == (47, 48, 12)
    earlier = tuned(one, until=20)
    assert (earlier.split, earlier.past, earlier.n) == (42, 43, 17), "the weights saw more than it"
    none_left = tuned(one, until=99)
    assert (none_left.n, none_left.is_borne_out) == (0, False)


def test_without_questions_nothing_is_tuned() -> None:
    found = tuned()
    assert (found.weights, found.is_borne_out, found.n) == (dict(WEIGHTS), False, 0)


def test_it_measures_as_evaluation_does(past: Past) -> None:
    history = past.history()
    found = mine_commit_session(history)
    evidence = list(gather(found, embedded(past.memory, [found])))
    for weights in (WEIGHTS, {"observation": 0.1, "session": 0.0, "title": 0.4, "vector": 0.5}):
        ours = _answers(found, evidence).reciprocal_ranks(weights)
        theirs = [
            measure_ranking(rankings(found, one, weights)["hybrid"], one.query.relevant).rr
            for one in evidence
        ]
        assert ours == pytest.approx(theirs)


def test_tuned_weights_are_reported_on_what_they_were_not_tuned_on(tmp_path: Path) -> None:
    past = make_past(tmp_path / "repository", 6)
    patina, state = past.memory.patina(), past.memory.state
    found = evaluate.tune(patina)
    assert load_tuned_weights(state) == found
    assert (found.fingerprint, found.projection) == (space_of(past.memory).fingerprint, "")
    store_tuned_weights(state, replace(found, low=0.1, weights={**WEIGHTS, "title": 0.2}))
    evaluation = evaluate.evaluate(patina, names=["commit_session"])
    assert evaluation.measured.weights["title"] == 0.2
    assert evaluation.measured.after == found.split
    later = mine_commit_session(past.history(), QueryFilter(after=found.split))
    assert 0 < evaluation.sets[0].n == len(later) < 12


def test_a_rebuild_forgets_no_tuned_weights(tmp_path: Path) -> None:
    past = make_past(tmp_path / "repository", 4)
    found = evaluate.tune(past.memory.patina())
    past.memory.sync(full=True)
    assert load_tuned_weights(past.memory.state) == found


def test_weights_follow_the_projection_through_which_they_were_tuned(tmp_path: Path) -> None:
    past = make_past(tmp_path / "repository", 6)
    patina, state = past.memory.patina(), past.memory.state
    raw = replace(evaluate.tune(patina), low=0.1)
    store_tuned_weights(state, raw)
    sessions = mine_commit_session(past.history())
    split = sessions.queries[-2].moment
    assert split > raw.split
    use_blind(patina, split)
    patina.sync()
    measured = evaluate.evaluate(patina, names=["commit_session"]).measured
    assert (measured.weights, measured.after) == (WEIGHTS, split - 1)
    assert measured.ignored == "they were tuned for another projection"
    seen = evaluate.tune(patina)
    assert seen.projection == space_of(past.memory).projection
    assert seen.split == split - 1
    assert 0 < seen.n < raw.n


def test_weights_of_another_space_are_ignored_and_that_is_said(tmp_path: Path) -> None:
    past = make_past(tmp_path / "repository", 6)
    found = evaluate.tune(past.memory.patina())
    store_tuned_weights(past.memory.state, replace(found, low=0.1, fingerprint="other"))
    measured = evaluate.evaluate(past.memory.patina(), names=["goal"]).measured
    assert (measured.weights, measured.after) == (WEIGHTS, None)
    assert measured.ignored == "they were tuned for another model"
