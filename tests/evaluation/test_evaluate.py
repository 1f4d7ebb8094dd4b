"""Evaluation end to end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from evaluation.past import Past, make_past
from support.memory import Memory

from patina_hooks.api import Patina
from patina_hooks.corpus.log import Log
from patina_hooks.errors import StateError, UsageError
from patina_hooks.evaluation.channels import CHANNELS
from patina_hooks.evaluation.evaluate import MINED, evaluate
from patina_hooks.evaluation.results import against, as_json
from patina_hooks.projection.active import Active, keep_weights, store_active
from patina_hooks.projection.interface import Trained
from patina_hooks.projection.weights import described
from patina_hooks.search.vectors import answering_space


def test_every_set_is_measured_in_every_channel(past: Past) -> None:
    evaluation = evaluate(past.memory.patina())
    assert [one.name for one in evaluation.sets] == list(MINED)
    for one in evaluation.sets:
        assert one.n >= (4 if one.name == "commit_files_cold" else 10)
        for channel in CHANNELS:
            figures = one.figures(channel)
            assert (figures.low is None) == (figures.high is None) == one.is_small
            assert 0 <= (figures.low or 0) <= figures.mrr <= (figures.high or 1) <= 1
        assert one.figures("hybrid").mrr > one.figures("popularity").mrr
    assert against(evaluation.asked, "popularity").is_above_zero
    assert evaluation.measured.projection == "none"
    assert evaluation.measured.model == "acme-64"


def test_the_same_memory_gives_the_same_figures(past: Past) -> None:
    first, second = (as_json(evaluate(past.memory.patina())) for _ in range(2))
    assert first == second


def test_a_projection_changes_what_vectors_say_and_nothing_else(tmp_path: Path) -> None:
    past = make_past(tmp_path / "repository")
    patina = past.memory.patina()
    moment = past.memory.clock - 5 * 5 * 60
    raw = evaluate(patina, names=["context"], after=moment - 1)
    use_blind(patina, moment)
    seen = evaluate(patina, names=["context"])
    assert (seen.measured.projection, seen.measured.after) == ("blind", moment - 1)
    before, after = raw.sets[0], seen.sets[0]
    assert after.n == before.n > 0
    assert after.figures("vector").mrr < before.figures("vector").mrr
    for channel in ("bm25", "recent", "popularity"):
        assert after.figures(channel) == before.figures(channel)


def use_blind(patina: Patina, split: int) -> None:
    """Have a projection answer to which all texts are the same."""
    size, state = 64, patina.repository.state
    weights = {
        "w1.weight": np.zeros((2, size), np.float32),
        "w1.bias": np.ones(2, np.float32),
        "w2.weight": np.ones((2, 2), np.float32),
        "w2.bias": np.zeros(2, np.float32),
    }
    name = keep_weights(state, Trained(weights, described("mlp-2layer", weights)), "mlp")
    with Log(state, create=False) as log:
        space = answering_space(log)
    assert space is not None
    store_active(
        state,
        Active("blind", "mlp", name, 2, space.fingerprint, 0.1, 0.0, 0.2, 10, split, forced=True),
    )
    recipe = patina.repository.root / ".patina/oxidize.yaml"
    recipe.write_text(recipe.read_text() + "projections:\n  blind: {type: mlp}\n")
    patina.sync()


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
    with pytest.raises(StateError, match="nothing to measure on: 0 session documents and 1 commit give no"):
        evaluate(memory.patina())


def test_without_vectors_it_says_what_to_type(tmp_path: Path) -> None:
    memory = Memory.make(tmp_path / "repository")
    memory.write(".patina/oxidize.yaml", "embedding_model: no-such-model\n")
    memory.commit("feed the marmots", {"a.py": "1"})
    memory.sync()
    with pytest.raises(StateError, match="no vectors are here yet") as raised:
        evaluate(memory.patina())
    assert raised.value.hint == "patina sync"


def test_an_unknown_set_is_usage(past: Past) -> None:
    with pytest.raises(UsageError, match="there is no query set contxt") as raised:
        evaluate(past.memory.patina(), names=["contxt"])
    assert "commit_files_cold" in raised.value.hint
