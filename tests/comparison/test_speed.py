"""What models cost: measured in processes of their own, on a sample that is the same each time."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import IO

import pytest
from evaluation.past import Past
from hypothesis import given
from hypothesis import strategies as st
from support.memory import Memory, plugins

from patina_hooks.config.recipe import Reading, Recipe
from patina_hooks.errors import ModelError
from patina_hooks.evaluation.comparison import process
from patina_hooks.evaluation.comparison.speed import RUNS, Speed, measure_speed, sample, spread
from patina_hooks.plugins.manager import Plugins
from patina_hooks.search.index.spaces import VectorSpace, requested_space
from patina_hooks.store.log import Log

TEXTS = [f"marmots whistle {'at eagles ' * (number % 7)}" for number in range(40)]


def space(model: str, providers: Plugins | None = None) -> VectorSpace:
    return requested_space(providers or plugins(), Recipe(model=model))


def drawn(memory: Memory, most: int = 512) -> list[str]:
    with Log(memory.state, create=False) as log:
        return sample(log, most)


def test_the_sample_is_of_what_the_memory_says_and_the_same_each_time(past: Past) -> None:
    first = drawn(past.memory)
    assert first == drawn(past.memory)
    with past.memory.log() as log:
        said = {row[0] for row in log.execute("SELECT text FROM observation WHERE live")}
    assert set(first) == said
    assert set(drawn(past.memory, 20)) < said
    assert len(drawn(past.memory, 20)) == 20


@given(st.lists(st.text(max_size=50), max_size=300), st.integers(0, 8))
def test_every_beginning_of_the_sample_has_the_lengths_of_the_whole(texts: list[str], power: int) -> None:
    ordered, first = spread(texts), 2**power
    assert sorted(ordered) == sorted(texts)
    if first > len(texts):
        return
    lengths = sorted(map(len, texts))
    for part, length in enumerate(sorted(map(len, ordered[:first]))):
        near = lengths[part * len(texts) // first : (part + 1) * len(texts) // first]
        assert near[0] <= length <= near[-1]


def test_a_model_is_measured_whole() -> None:
    found = measure_speed({"acme": space("acme-64")}, TEXTS)["acme"]
    assert isinstance(found, Speed)
    assert (found.runs, found.texts) == (RUNS, len(TEXTS))
    assert found.cold_start > 0
    assert found.texts_per_second == pytest.approx(found.characters_per_second / mean(map(len, TEXTS)))
    assert found.memory is not None
    assert 10_000_000 < found.memory < 10_000_000_000


def test_what_fails_is_told_and_takes_nothing_with_it(bag: None) -> None:
    providers = Plugins.load()
    names = ("bag-fails", "bag-dies", "bag-noisy", "bag-32")
    seen: list[tuple[int, int]] = []
    found = measure_speed(
        {name: space(name, providers) for name in names},
        TEXTS,
        lambda _, done, total: seen.append((done, total)),
    )
    fails, dies = found["bag-fails"], found["bag-dies"]
    assert isinstance(fails, ModelError)
    assert "the runtime bag cannot open model bag-fails: ValueError: the bag has a hole (bag" in str(fails)
    assert isinstance(dies, ModelError)
    assert "was killed: it may need more memory than there is" in str(dies)
    assert isinstance(found["bag-noisy"], Speed)
    assert isinstance(found["bag-32"], Speed)
    assert seen == [*((100 * done // 12, 100) for done in range(12)), (100, 100)]


def test_a_model_is_measured_as_it_is_read() -> None:
    wrong = replace(space("acme-64"), reading=Reading(truncate=7))
    assert "truncate is 7, expected 64" in str(measure_speed({"acme": wrong}, TEXTS)["acme"])


def test_a_process_that_ends_without_a_word_is_quoted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text("import os\nos.write(2, b'no such library\\n')\nos._exit(7)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = measure_speed({"acme": space("acme-64")}, TEXTS)["acme"]
    assert str(found) == "its process ended with exit code 7: no such library"


def test_an_interrupt_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[subprocess.Popen[bytes]] = []

    def interrupted(begins: subprocess.Popen[bytes], remarks: IO[bytes]) -> None:
        begun.append(begins)
        raise KeyboardInterrupt

    monkeypatch.setattr(process, "_receive", interrupted)
    with pytest.raises(KeyboardInterrupt):
        measure_speed({"acme": space("acme-64")}, TEXTS)
    assert [one.returncode for one in begun] == [-9]
