"""Reasons why a question has no hit."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.memory import Memory

from patina_hooks.search.query import Hits


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Memory:
    memory = Memory.make(tmp_path_factory.mktemp("no_hits") / "repository")
    memory.commit("the keeper writes down the weather", {"src/weather.py": "1"})
    memory.commit("a marmot whistles at dawn", {"src/marmot.py": "1"})
    memory.sync()
    return memory


def test_reason_counts_hits_without_the_filter_when_it_excludes_all(memory: Memory) -> None:
    hits = memory.patina().search("weather", until=1)
    assert (hits, hits.reason) == ([], "the filters exclude all hits: 2 hits without --until")


def test_reason_counts_hits_without_each_filter_when_either_excludes_all(memory: Memory) -> None:
    hits = memory.patina().search("weather", mode="lexical", until=1, path="src/weather.py", kinds="commit")
    assert hits.reason == "the filters exclude all hits: 1 hit without --until"
    hits = memory.patina().search("weather", mode="lexical", until=1, kinds="decision")
    assert hits.reason == "the filters exclude all hits: 1 hit without filters"


def test_reason_names_similar_paths_when_the_path_is_unknown(memory: Memory) -> None:
    hits = memory.patina().search("weather", path="src/wether.py")
    assert hits.reason == "no recorded commit touched 'src/wether.py'; similar: src/weather.py"


def test_reason_says_that_no_text_has_the_words_when_no_filter_is_given(memory: Memory) -> None:
    hits = memory.patina().search("zzyzx", mode="lexical")
    assert hits.reason == "no indexed text has a word of the question"


@pytest.mark.parametrize(("mode", "found"), [("lexical", False), ("hybrid", True)])
def test_reason_says_that_a_question_has_no_words_when_it_is_punctuation(
    memory: Memory, mode: str, found: bool
) -> None:
    hits: Hits = memory.patina().search("?! ...", mode=mode)  # type: ignore[arg-type]
    assert (bool(hits), hits.reason) == (found, "the question has no words, only punctuation")


def test_reason_says_so_when_a_question_has_more_words_than_are_looked_up(memory: Memory) -> None:
    question = " ".join(f"weather{number}" for number in range(1_000))
    assert memory.patina().search(question).reason == ""
    hits = memory.patina().search(f"{question} marmot")
    assert (bool(hits), hits.reason) == (True, "only the first 1,000 words of the question were looked up")


def test_reason_is_empty_when_there_are_hits(memory: Memory) -> None:
    assert memory.patina().search("weather").reason == ""


def test_reason_says_that_nothing_is_indexed_when_the_history_is_empty(tmp_path: Path) -> None:
    memory = Memory.make(tmp_path / "repository")
    memory.sync()
    hits = memory.patina().search("weather")
    assert hits.reason == "nothing is indexed yet: no commit message or session document was recorded"


def test_reason_counts_texts_without_a_vector_when_the_model_is_absent(tmp_path: Path) -> None:
    memory = Memory.make(tmp_path / "repository")
    memory.write(".patina/oxidize.yaml", "embedding_model: no-such-model\n")
    memory.commit("feed the marmots", {"a.py": "1"})
    memory.sync()
    hits = memory.patina().search("zzyzx")
    assert hits.reason == "no indexed text has a word of the question; 1 text without a vector"


def test_reason_says_that_the_question_is_a_secret_when_nothing_else_is_left(memory: Memory) -> None:
    assert (
        memory.patina().search("ghp_16C7e42F292c6912E7710c838347Ae178B4a").reason
        == "the question holds nothing but secrets"
    )
