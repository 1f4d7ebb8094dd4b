"""Questions of one's own: exact names, clear messages, answered by scry itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from evaluation.past import Past

from patina_hooks.errors import StateError, UsageError
from patina_hooks.evaluation.evaluate import evaluate
from patina_hooks.evaluation.results import SetResult
from patina_hooks.evaluation.user_set import read_user_queries


def write(folder: Path, content: object) -> Path:
    path = folder / "mine.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return path


def ask(past: Past, folder: Path, content: object) -> SetResult:
    evaluation = evaluate(past.memory.patina(), names=["queries"], queries=write(folder, content))
    (found,) = evaluation.sets
    return found


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ({}, "expected a list of entries"),
        ([], "expected a list of entries"),
        ([{"query": "a", "relevant": ["b"]}, 3], "entry 2: expected a mapping"),
        ([{"query": "a", "relevant": ["b"], "id": 1}], "entry 1: unknown key 'id'"),
        ([{"relevant": ["b"]}], "entry 1: query is missing"),
        ([{"query": " ", "relevant": ["b"]}], "entry 1: query is ' ', expected a text that is not"),
        ([{"query": "a", "relevant": []}], "entry 1: relevant is [], expected a list"),
        ([{"query": "a", "relevant": "b"}], "entry 1: relevant is 'b', expected a list"),
        ([{"query": "a", "relevant": [1]}], "entry 1: relevant is [1], expected a list"),
    ],
)
def test_a_message_names_file_entry_and_fix(tmp_path: Path, content: object, said: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(UsageError) as raised:
        read_user_queries(path)
    assert str(raised.value).startswith(str(path))
    assert said in str(raised.value)
    assert raised.value.hint


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read .*: No such file"):
        read_user_queries(tmp_path / "none.json")


def test_a_document_that_is_not_there_is_named(past: Past, tmp_path: Path) -> None:
    entries = [
        {"query": "a", "relevant": [past.sessions[0]]},
        {"query": "b", "relevant": [past.sessions[0], "20990101-000000", "src/nowhere.py"]},
    ]
    with pytest.raises(
        UsageError, match=r"entry 2: the memory does not have '20990101-000000', 'src/nowhere.py'"
    ):
        ask(past, tmp_path, entries)


def test_names_match_exactly_and_not_by_their_beginnings(past: Past, tmp_path: Path) -> None:
    for name in (past.sessions[0][:8], past.memory.git("rev-parse", "--short", "HEAD"), "src/burrow"):
        with pytest.raises(UsageError, match="the memory does not have"):
            ask(past, tmp_path, [{"query": "a", "relevant": [name]}])


def test_a_session_a_document_a_commit_and_a_file(past: Past, tmp_path: Path) -> None:
    begin = past.memory.git("rev-list", "--max-parents=0", "HEAD")
    entries = [
        {"query": "why do bakers fold the sourdough twice", "relevant": [past.sessions[3]]},
        {"query": "pilots trim the rudder", "relevant": [f"layer/sessions/{past.sessions[9]}.md"]},
        {"query": "begin", "relevant": [begin]},
        {"query": "begin", "relevant": ["src/kiln.py"]},
        {"query": "why do bakers fold the sourdough twice", "relevant": [past.sessions[4]]},
    ]
    found = ask(past, tmp_path, entries)
    ranks = found.reciprocal_ranks("hybrid")
    assert ranks[:4] == [1.0, 1.0, 1.0, 1.0], "the first commit touched the file, too"
    assert ranks[4] < 1.0
    assert len({answer.id for answer in found.answers}) == 5


def test_a_right_answer_counts_once_however_many_hits_meet_it(past: Past, tmp_path: Path) -> None:
    text = "begin; teach the kiln to obey potters"
    commits = past.memory.git("log", "--format=%H", "--", "src/kiln.py").split()
    hits = past.memory.patina().search(text, limit=10)
    assert sum(hit.commit in commits for hit in hits) >= 2
    (answer,) = ask(past, tmp_path, [{"query": text, "relevant": ["src/kiln.py"]}]).answers
    assert answer.metrics["hybrid"].recall == 1.0
    assert answer.metrics["hybrid"].ndcg <= 1.0


def test_figures_are_those_of_what_scry_lists(past: Past, tmp_path: Path) -> None:
    text = "every lantern is kept for miners or falcons"
    relevant = [past.sessions[2], past.sessions[5], past.sessions[6]]
    hits = past.memory.patina().search(text, limit=10)
    ranks = [rank for rank, hit in enumerate(hits, 1) if hit.session in relevant]
    (answer,) = ask(past, tmp_path, [{"query": text, "relevant": relevant}]).answers
    assert answer.metrics["hybrid"].rr == 1 / ranks[0]
    assert answer.metrics["hybrid"].recall == len(ranks) / 3
    nearest = past.memory.patina().search(text, limit=10, mode="vector")
    first = next(rank for rank, hit in enumerate(nearest, 1) if hit.session in relevant)
    assert answer.metrics["vector"].rr == 1 / first
    assert answer.metrics["recent"].rr == 1 / (len(past.sessions) - 6)


def test_where_vectors_are_gone_it_does_not_measure_words_as_hybrid(
    past: Past, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from patina_hooks.api import Patina
    from patina_hooks.plugins.manager import Plugins

    patina = Patina(past.memory.repository, Plugins.load(disabled=("patina-acme",)))
    path = write(tmp_path, [{"query": "a", "relevant": [past.sessions[0]]}])
    with pytest.raises(StateError, match="answering by words only"):
        evaluate(patina, names=["queries"], queries=path)
