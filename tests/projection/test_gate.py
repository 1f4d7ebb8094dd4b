"""The gate: what helps on later questions passes, what hurts or merely seems to help does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from projection.small_trainings import unit

from patina_hooks.corpus.observations import text_key
from patina_hooks.evaluation.embeddings import Embeddings
from patina_hooks.evaluation.history import PastPassage
from patina_hooks.evaluation.query_sets.mining import MinedQuery, QuerySet, build_links
from patina_hooks.evaluation.statistics.intervals import ERROR, interval
from patina_hooks.training.gate import (
    CLUSTERS,
    QUERIES,
    SESSIONS,
    describe_missing_history,
    has_enough_clusters,
    judge,
)

if TYPE_CHECKING:
    from patina_hooks.specs.vectors import Vectors

UNITS = 40
SIGNAL, NOISE = 8, 24


def query_set(name: str = "goal", count: int = UNITS, clusters: int = UNITS) -> QuerySet:
    """Question n asks for unit n, which piece n speaks for."""
    pieces = tuple(
        PastPassage("decision", f"said {number}", text_key(f"said {number}")) for number in range(UNITS)
    )
    links = build_links([{number} for number in range(UNITS)])
    queries = tuple(
        MinedQuery(
            f"{number:012}", f"asked {number}", frozenset({number}), f"cluster {number % clusters}", number,
            UNITS, UNITS,
        )
        for number in range(count)
    )  # fmt: skip
    units = tuple(f"unit {number:02}" for number in range(UNITS))
    return QuerySet(name, units, units, pieces, *links, np.arange(UNITS), queries)


def embeddings() -> Embeddings:
    """Questions and pieces agree in a few dimensions, and differ, more strongly, in the others."""
    draw = np.random.default_rng(3)
    signal = draw.standard_normal((UNITS, SIGNAL))

    def seen() -> Vectors:
        return unit(np.hstack([signal, 1.3 * draw.standard_normal((UNITS, NOISE))]))

    said = {text_key(f"said {number}"): number for number in range(UNITS)}
    asked = {text_key(f"asked {number}"): number for number in range(UNITS)}
    return Embeddings(seen(), said, seen(), asked)


def signal_alone(vectors: Vectors) -> Vectors:
    return unit(vectors[:, :SIGNAL])


def noise_alone(vectors: Vectors) -> Vectors:
    return unit(vectors[:, SIGNAL:])


def test_what_helps_passes_and_what_hurts_or_changes_nothing_does_not() -> None:
    candidates = {"helps": signal_alone, "hurts": noise_alone, "same": lambda vectors: vectors}
    raw, judged = judge([query_set()], embeddings(), candidates)
    assert [name for name, one in judged.items() if one.passes] == ["helps"]
    assert judged["helps"].gain.value == pytest.approx(judged["helps"].mrr["goal"].value - raw["goal"].value)
    assert judged["hurts"].gain.is_below_zero
    assert (judged["same"].gain.value, judged["same"].gain.low, judged["same"].gain.high) == (0, 0, 0)
    assert {one.gain.n for one in judged.values()} == {UNITS}


def test_a_gain_by_too_few_sessions_does_not_pass() -> None:
    _, judged = judge([query_set(clusters=9)], embeddings(), {"helps": signal_alone})
    assert judged["helps"].gain.value > 0.1
    assert (judged["helps"].gain.low, judged["helps"].passes) == (None, False)


def test_a_set_that_few_sessions_ask_says_nothing() -> None:
    assert has_enough_clusters(query_set(clusters=10))
    assert not has_enough_clusters(query_set(clusters=9))
    assert not has_enough_clusters(query_set(count=0))


def test_where_nothing_helps_chance_passes_rarely() -> None:
    """Three candidates over histories that differ from the raw model by luck alone: skewed, as ranks are."""
    draw = np.random.default_rng(5)
    names = {"goal": [str(number) for number in range(CLUSTERS)]}
    passed = 0
    for _ in range(300):
        luck = draw.choice([-1.0, -0.5, 0.0, 0.5, 1.0], (3, CLUSTERS), p=[0.06, 0.12, 0.64, 0.12, 0.06])
        gains = [interval({"goal": one.tolist()}, names, error=ERROR / 3) for one in luck]
        passed += any(one.is_above_zero for one in gains)
    assert passed <= 300 * 0.045


def test_the_more_candidates_the_surer_each_has_to_be() -> None:
    alone, among = (
        judge([query_set()], embeddings(), dict.fromkeys(names, signal_alone))[1]["helps"]
        for names in (["helps"], ["helps", "too", "three"])
    )
    assert alone.gain.value == among.gain.value
    assert alone.gain.low is not None
    assert among.gain.low is not None
    assert among.gain.low < alone.gain.low
    assert among.gains == alone.gains


def test_every_set_weighs_the_same_however_many_questions_it_has() -> None:
    sets = [query_set("goal"), query_set("context", 10)]
    raw, judged = judge(sets, embeddings(), {"helps": signal_alone})
    one = judged["helps"]
    assert list(raw) == list(one.mrr) == list(one.gains) == ["goal", "context"]
    assert one.gain.value == pytest.approx((one.gains["goal"].value + one.gains["context"].value) / 2)
    assert [one.gains[name].n for name in one.gains] == [40, 10]


def test_nothing_to_judge_is_no_gain() -> None:
    raw, judged = judge([], embeddings(), {"helps": signal_alone})
    assert (raw, judged["helps"].gain.n, judged["helps"].passes) == ({}, 0, False)


@pytest.mark.parametrize(
    ("sessions", "questions", "clusters", "says"),
    [
        (SESSIONS, QUERIES, CLUSTERS, ""),
        (SESSIONS - 1, QUERIES, CLUSTERS, "1 more sessions"),
        (SESSIONS, QUERIES - 7, CLUSTERS, "7 more test queries"),
        (SESSIONS, QUERIES, 14, "6 more later sessions with test queries"),
        (0, 0, 1, "20 more sessions, 30 more test queries, 20 more later"),
    ],
)
def test_missing_history_is_described(sessions: int, questions: int, clusters: int, says: str) -> None:
    said = describe_missing_history(sessions, [query_set(count=questions, clusters=clusters)])
    assert said.startswith("not enough history: needs " if says else "")
    assert says in said
    assert bool(says) == bool(said)
