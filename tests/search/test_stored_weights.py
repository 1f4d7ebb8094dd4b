"""Tuned weights: stored, loaded, and used only for the space that they were tuned for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support.memory import Memory, plugins
from support.shell import Shell

from patina_hooks.errors import StateError
from patina_hooks.search.fusion import WEIGHTS
from patina_hooks.search.index.spaces import VectorSpace, active_space
from patina_hooks.search.stored_weights import (
    TunedWeights,
    find_usable_weights,
    load_stored_weights,
    load_tuned_weights,
    store_tuned_weights,
)
from patina_hooks.store.log import Log
from patina_hooks.upkeep.doctor import examine

SPACE = VectorSpace("fingerprint", "acme-64", "onnx", 64, "exact")
TITLES_ALONE = {"observation": 0.0, "session": 0.0, "title": 1.0, "vector": 0.0}
GOOD = TunedWeights(TITLES_ALONE, "fingerprint", "", "hash", 5, 70, 0.1, 0.05, 0.2, 30)


def test_what_is_stored_is_loaded_and_followed(tmp_path: Path) -> None:
    assert load_tuned_weights(tmp_path) is None
    assert load_stored_weights(tmp_path, SPACE) == {}
    store_tuned_weights(tmp_path, GOOD)
    assert load_tuned_weights(tmp_path) == GOOD
    assert load_stored_weights(tmp_path, SPACE) == TITLES_ALONE


@pytest.mark.parametrize("low", [-0.01, 0.0, None])
def test_weights_that_were_not_borne_out_are_not_used(tmp_path: Path, low: float | None) -> None:
    store_tuned_weights(tmp_path, replace(GOOD, low=low))
    assert find_usable_weights(tmp_path, SPACE) == (None, "")
    assert load_stored_weights(tmp_path, SPACE) == {}


@pytest.mark.parametrize(
    ("space", "why"),
    [
        (replace(SPACE, fingerprint="new"), "another model"),
        (replace(SPACE, projection="p"), "another projection"),
        (replace(SPACE, query="q"), "another prefix of questions"),
    ],
)
def test_weights_of_another_space_are_not_used(tmp_path: Path, space: VectorSpace, why: str) -> None:
    store_tuned_weights(tmp_path, GOOD)
    assert find_usable_weights(tmp_path, space) == (None, f"they were tuned for {why}")
    assert load_stored_weights(tmp_path, space) == {}


@pytest.mark.parametrize(
    "changed",
    [
        {"weights": {"words": 1.0}},
        {"weights": {**WEIGHTS, "title": float("nan")}},
        {"weights": {**WEIGHTS, "title": -1}},
        {"weights": [1]},
        {"low": float("inf")},
        {"split": None},
        {"fingerprint": 7},
        {"more": 1},
    ],
)
def test_a_damaged_file_is_named_and_search_goes_on(tmp_path: Path, changed: dict[str, object]) -> None:
    store_tuned_weights(tmp_path, GOOD)
    path = tmp_path / "projections/fusion.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))
    with pytest.raises(StateError, match=r"fusion\.json is damaged") as raised:
        load_tuned_weights(tmp_path)
    assert raised.value.hint == "patina eval --tune"
    used, why = find_usable_weights(tmp_path, SPACE)
    assert used is None
    assert "is damaged" in why
    assert load_stored_weights(tmp_path, SPACE) == {}


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    """Words and meaning speak for one session, the title of the other one holds the question's word."""
    memory = Memory.make(tmp_path / "repository")
    said = "- marmots whistle at eagles and marmots dig the burrow of marmots\n- marmots sleep\n"
    for day, title, text in ((1, "a study", said), (2, "marmots", "- the loom was threaded by hand today\n")):
        session = f"2025110{day}-090000"
        document = f"# Session: {title}\n**ID**: {session}\n\n## Key Decisions\n{text}"
        memory.commit(f"archive {session}", {f"layer/sessions/{session}.md": document})
    memory.sync()
    return memory


def in_its_space(memory: Memory) -> TunedWeights:
    with Log(memory.state, create=False) as log:
        space = active_space(log)
    assert space is not None
    return replace(GOOD, fingerprint=space.fingerprint, query=space.query)


def test_search_follows_them_where_vectors_answer_too(memory: Memory) -> None:
    patina = memory.patina()
    assert next(hit.session for hit in patina.search("marmots")) == "20251101-090000"
    store_tuned_weights(memory.state, in_its_space(memory))
    assert next(hit.session for hit in patina.search("marmots")) == "20251102-090000"
    # Words alone were never judged with them.
    assert next(hit.session for hit in patina.search("marmots", mode="lexical")) == "20251101-090000"
    store_tuned_weights(memory.state, GOOD)
    assert next(hit.session for hit in patina.search("marmots")) == "20251101-090000"


def test_status_doctor_and_eval_say_what_becomes_of_them(memory: Memory) -> None:
    def doctor() -> list[tuple[str, str]]:
        return [
            (one.level, one.what) for one in examine(memory.repository, plugins()) if one.check == "fusion"
        ]

    assert doctor() == [("ok", "search uses the default weights: none were tuned")]
    store_tuned_weights(memory.state, in_its_space(memory))
    assert memory.patina().status().warnings == ()
    assert doctor() == [("ok", "search uses the weights of patina eval --tune")]
    store_tuned_weights(memory.state, replace(GOOD, low=-0.1))
    assert doctor() == [
        ("ok", "search uses the default weights: the tuned ones are not better on later questions")
    ]
    store_tuned_weights(memory.state, GOOD)
    said = "the tuned weights of search are not used: they were tuned for another model"
    assert memory.patina().status().warnings == (f"{said}; patina eval --tune",)
    assert doctor() == [("warning", said)]
    assert said in Shell(memory.root).out("status")
    assert said in Shell(memory.root).out("eval")
    (memory.state / "projections/fusion.json").write_text("{")
    ((level, what),) = doctor()
    assert level == "fault"
    assert "fusion.json is damaged" in what
