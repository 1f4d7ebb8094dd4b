"""Weights are tuned on the past, judged on the rest, and used only where that bears them out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from evaluation.past import Past, embedded, make_past

from patina_hooks.corpus.log import Log
from patina_hooks.evaluation import evaluate
from patina_hooks.evaluation.channels import Evidence, gather, rankings
from patina_hooks.evaluation.intervals import Interval
from patina_hooks.evaluation.metrics import worth_of
from patina_hooks.evaluation.query_sets import Query, QuerySet
from patina_hooks.evaluation.session_sets import commit_session
from patina_hooks.evaluation.tuning import Tuned, _answers, record, tune_on, tuned, tuned_weights
from patina_hooks.search.fusion import WEIGHTS

UNITS = 12


def simulated(good: str, *, until: int, then: str) -> tuple[QuerySet, list[Evidence]]:
    """Sixty questions, one a minute: `good` ranks the answer first up to a moment, `then` after it; the
    other channels are noise."""
    rng = np.random.default_rng(7)

    def each() -> Iterator[Evidence]:
        for when in range(60):
            relevant = int(rng.integers(UNITS))
            fused = {channel: dict(enumerate(rng.random(UNITS).tolist())) for channel in WEIGHTS}
            fused[good if when <= until else then][relevant] = 1.5
            query = Query(str(when), "?", frozenset([relevant]), str(when), when, 0, 0)
            yield Evidence(query, fused, np.zeros(UNITS, np.float32))

    evidence = list(each())
    none = np.array([], np.intp)
    names = tuple(f"{unit:02}" for unit in range(UNITS))
    told = tuple(one.query for one in evidence)
    return QuerySet("simulated", names, names, (), none, none, none, told), evidence


def test_a_channel_that_tells_is_given_weight() -> None:
    found = tune_on([simulated("title", until=99, then="title")], "hash")
    assert found.weights["title"] > WEIGHTS["title"]
    assert sum(found.weights.values()) == pytest.approx(1, abs=1e-3)
    assert (found.split, found.past, found.gain.n) == (42, 43, 17)
    assert found.in_use
    assert found.gain.value > 0.2


def test_what_only_the_past_bears_out_is_not_used() -> None:
    found = tune_on([simulated("title", until=42, then="vector")], "hash")
    assert found.weights["title"] > WEIGHTS["title"]
    assert found.gain.value < 0
    assert not found.in_use


def test_the_future_does_not_change_what_is_tuned() -> None:
    one, other = (simulated("title", until=42, then=channel) for channel in ("vector", "session"))
    assert tune_on([one], "hash").weights == tune_on([other], "hash").weights


def test_without_questions_nothing_is_tuned() -> None:
    found = tune_on([], "hash")
    assert (found.weights, found.in_use, found.gain.n) == (dict(WEIGHTS), False, 0)


def test_it_measures_as_evaluation_does(past: Past) -> None:
    history = past.history()
    found = commit_session(history)
    evidence = list(gather(found, history.schema, embedded(past.memory, [found])))
    for weights in (WEIGHTS, {"observation": 0.1, "session": 0.0, "title": 0.4, "vector": 0.5}):
        ours = _answers(found, evidence).reciprocal_ranks(weights)
        theirs = [
            worth_of(rankings(found, one, weights)["hybrid"], one.query.relevant).rr for one in evidence
        ]
        assert ours == pytest.approx(theirs)


def test_only_weights_that_are_borne_out_are_handed_to_search(tmp_path: Path) -> None:
    weights = {"observation": 0.2, "session": 0.2, "title": 0.2, "vector": 0.4}
    good = Tuned(weights, 5, 70, Interval(0.1, 0.05, 0.2, 30), "hash")
    with Log(tmp_path / "state") as log:
        assert tuned_weights(log) is None
        for gain in (Interval(0.1, -0.01, 0.2, 30), Interval(0.1, None, None, 3)):
            record(log, replace(good, gain=gain))
            assert tuned_weights(log) is None
        record(log, replace(good, weights={"words": 0.5, "vector": 0.5}))
        assert tuned_weights(log) is None
        record(log, good)
        assert tuned_weights(log) == weights
        assert tuned(log) == good


def test_tuned_weights_are_reported_on_what_they_were_not_tuned_on(tmp_path: Path) -> None:
    past = make_past(tmp_path / "repository", 6)
    patina = past.memory.patina()
    found = evaluate.tune(patina)
    with Log(past.memory.state) as log:
        assert json.loads(log.fact("weights"))["split"] == found.split
        record(log, replace(found, gain=Interval(0.1, 0.05, 0.2, 30), weights={**WEIGHTS, "title": 0.2}))
    evaluation = evaluate.evaluate(patina, names=["commit_session"])
    assert evaluation.measured.weights["title"] == 0.2
    assert evaluation.measured.after == found.split
    later = commit_session(past.history()).after(found.split)
    assert 0 < evaluation.sets[0].n == len(later) < 12
