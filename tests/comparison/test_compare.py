"""A comparison end to end: what fails on the way is a row, and takes nothing with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from evaluation.past import Past
from support.embedding_server import serving, use
from support.memory import Memory

from patina_hooks.api import Patina
from patina_hooks.errors import StateError
from patina_hooks.evaluation.comparison.candidates import candidates
from patina_hooks.evaluation.comparison.compare import about, compare_models
from patina_hooks.evaluation.comparison.conclusion import conclude
from patina_hooks.evaluation.comparison.model_comparison import ALL
from patina_hooks.plugins.manager import Plugins


def test_a_model_that_fails_late_is_a_row_too(past: Past, bag: None) -> None:
    patina = Patina(past.memory.repository, Plugins.load())
    said: list[str] = []
    stages: dict[str, tuple[int, int]] = {}
    made = compare_models(
        patina,
        candidates(patina, ["bag-late", "bag-32"]),
        progress=lambda stage, done, total: stages.update({stage: (done, total)}),
        announce=said.append,
    )
    late, ran = made.rows
    assert "RuntimeError: the bag burst (bag_runtime.py:" in late.error
    assert late.remedy == "patina doctor"
    assert late.speed is not None
    assert (late.embedded, late.sets) == (0, ())
    assert made.reference is ran
    assert made.figure(ran, "vector", "mrr", ALL).value > 0.2
    assert [told.partition(", about ")[0] for told in said] == [
        f"{name}: {ran.embedded} texts to embed" for name in ("bag-late", "bag-32")
    ]
    assert stages["measuring speed"] == (100, 100)
    assert stages["embedding bag-32"] == (ran.embedded, ran.embedded)
    assert stages["measuring answers"] == (sum(made.sets.values()), sum(made.sets.values()))


@pytest.mark.parametrize(("names", "runtime"), [(["acme-64@remote"], ""), (["acme-64"], "remote")])
def test_a_model_that_runs_elsewhere_is_compared(past: Past, names: list[str], runtime: str) -> None:
    """It is another model there, whatever its name: not a word of its files, and answers of its own."""
    patina = past.memory.patina()
    with serving() as server:
        use(server)
        made = compare_models(patina, candidates(patina, ["acme-64@onnx", *names], runtime))
        asked = set(server.texts())
    here, there = made.rows
    assert (there.error, there.agreement, there.candidate.bytes) == ("", None, 0)
    assert there.candidate.space
    assert (there.candidate.space.runtime, there.speed is None) == ("remote", False)
    assert there.sets
    assert {piece for piece in asked if "marmots" in piece}
    assert made.answered == [here, there]
    assert "acme-64@onnx" in conclude(made)[0]


def test_the_recipes_model_that_runs_elsewhere_is_compared(tmp_path: Path) -> None:
    memory = Memory.make(tmp_path / "repository")
    memory.write(".patina/oxidize.yaml", "version: 2\nembedding_model: acme-64\nruntime: remote\n")
    memory.commit("begin with marmots")
    with serving() as server:
        use(server)
        memory.sync()
        patina = memory.patina()
        (row,) = compare_models(patina, candidates(patina, ["acme-64"])).rows
    assert row.error == ""
    assert row.candidate.space is not None
    assert row.candidate.space.runtime == "remote"


def test_a_server_that_is_gone_is_a_row(past: Past) -> None:
    with serving() as gone:
        use(gone)
    patina = past.memory.patina()
    (one,) = candidates(patina, ["acme-64@remote"])
    assert one.space is None
    assert "cannot be reached" in one.error


def test_what_is_asked_once_more_is_no_further_evidence(past: Past) -> None:
    patina = past.memory.patina()
    made = compare_models(patina, candidates(patina, ["acme-64"]))
    assert "commit_files_cold" in made.sets
    assert made.questions == sum(made.sets.values()) - made.sets["commit_files_cold"]
    (row,) = made.rows
    each = [made.figure(row, "hybrid", "mrr", name).value for name in made.judged]
    assert len(each) == 5
    whole = made.figure(row, "hybrid", "mrr", ALL)
    assert whole.value == pytest.approx(sum(each) / 5)
    assert whole.n == made.questions


def test_a_memory_without_texts(tmp_path: Path) -> None:
    memory = Memory.make(tmp_path / "repository")
    memory.sync()
    patina = memory.patina()
    with pytest.raises(StateError, match="there are no texts to measure with"):
        compare_models(patina, candidates(patina, ["acme-64"]))


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.01, "about 1 s"), (90, "about 90 s"), (200, "about 3 min"), (9_000, "about 2 h")],
)
def test_how_long_it_takes_is_said_in_words(seconds: float, told: str) -> None:
    assert about(seconds) == told
