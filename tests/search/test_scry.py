"""Answers: the best of each session, in order, with what explains them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from support.memory import Memory

from patina_hooks.errors import IndexDamaged, ModelError, PluginError
from patina_hooks.plugins.manager import Plugins
from patina_hooks.search.fusion import WEIGHTS, fuse
from patina_hooks.search.query import Hit, Mode

SESSIONS = {
    "20251101-090000": ("keep vectors in sqlite", "sqlite holds every vector", "write ahead logging"),
    "20251102-090000": ("parse session documents", "a state machine reads lines", "unclosed fences end"),
    "20251103-090000": ("install git hooks", "hooks never wait", "the stub is plain shell"),
}


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Memory:
    memory = Memory.make(tmp_path_factory.mktemp("scry") / "repository")
    memory.commit("begin", {"README.md": "x"})
    for session, (title, decision, pattern) in SESSIONS.items():
        with memory.session(session):
            memory.commit(f"{title} for real\n\n- because {decision}", {f"{session}.py": "x"})
        memory.archive(session, title=title, goals=title, decisions=decision, patterns=pattern)
    memory.commit("sqlite is updated\n\nit was old", {"lock": "x"})
    memory.write(
        ".patina/local/active/draft.md",
        "# Session: marmots\n**ID**: 20251104-090000\n\n## Goals\n- feed\n",
    )
    memory.sync()
    return memory


def ask(memory: Memory, text: str, *, limit: int = 200, mode: Mode = "hybrid") -> list[Hit]:
    """The block of history; tests/corpus/test_collections.py has those of documents."""
    return memory.patina().search(text, limit=limit, mode=mode, collections="history")


def unit(hit: Hit) -> str:
    return hit.session or hit.commit or hit.path or ""


@pytest.mark.parametrize("mode", ["hybrid", "vector", "lexical"])
@pytest.mark.parametrize(("session", "parts"), SESSIONS.items())
def test_the_right_session_comes_first(
    memory: Memory, mode: Mode, session: str, parts: tuple[str, ...]
) -> None:
    for question in parts:
        assert ask(memory, question, mode=mode)[0].session == session


@pytest.mark.parametrize("mode", ["hybrid", "vector", "lexical"])
def test_hits_are_ordered_and_one_a_session_or_commit(memory: Memory, mode: Mode) -> None:
    hits = ask(memory, "sqlite vectors in session documents", mode=mode)
    assert len(hits) > 2
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert len({unit(hit) for hit in hits}) == len(hits)


@pytest.mark.parametrize(
    ("mode", "channels"),
    [("hybrid", set(WEIGHTS)), ("vector", {"vector"}), ("lexical", {"observation", "session", "title"})],
)
def test_the_channels_explain_the_score(memory: Memory, mode: Mode, channels: set[str]) -> None:
    hits = ask(memory, "keep sqlite vectors in session documents", mode=mode)
    by_channel: dict[str, Mapping[str, float]] = {
        name: {unit(hit): hit.channels[name] for hit in hits if name in hit.channels} for name in channels
    }
    assert all(by_channel.values())
    assert {name for hit in hits for name in hit.channels} == channels
    assert fuse(by_channel) == pytest.approx({unit(hit): hit.score for hit in hits})


def test_the_limit_takes_from_the_top(memory: Memory) -> None:
    hits = ask(memory, "sqlite")
    assert ask(memory, "sqlite", limit=1) == hits[:1]
    assert ask(memory, "sqlite", limit=2) == hits[:2]


def test_a_hit_of_a_document_says_where_it_stands(memory: Memory) -> None:
    hit = ask(memory, "sqlite holds every vector")[0]
    assert (hit.kind, hit.text) == ("decision", "sqlite holds every vector")
    assert hit.title == "keep vectors in sqlite"
    assert hit.path == "layer/sessions/20251101-090000.md"
    lines = (memory.root / hit.path).read_text().splitlines()
    assert lines[hit.line - 1] == f"- {hit.text}"
    assert (hit.commit, hit.draft) == (None, False)
    assert hit.when is not None


def test_a_commit_of_a_session_stands_for_it(memory: Memory) -> None:
    hit = memory.patina().search("install git hooks for real", kinds=("commit",))[0]
    assert hit.session == "20251103-090000"
    assert (hit.commit, hit.path, hit.title) == (memory.git("rev-parse", "HEAD~2"), None, "install git hooks")


def test_a_commit_of_no_session_stands_for_itself(memory: Memory) -> None:
    hit = ask(memory, "sqlite is updated")[0]
    assert (hit.session, hit.kind, hit.line, hit.title) == (None, "commit", 1, "")
    assert hit.commit == memory.git("rev-parse", "HEAD")
    assert hit.when == int(memory.git("log", "-1", "--format=%ct"))


def test_a_draft_is_found_and_marked(memory: Memory) -> None:
    hit = ask(memory, "marmots", mode="lexical")[0]
    assert (hit.session, hit.path, hit.draft) == (
        "20251104-090000",
        ".patina/local/active/draft.md",
        True,
    )


def test_what_only_a_title_says_is_found_by_its_goal(memory: Memory) -> None:
    (hit,) = ask(memory, "marmots", mode="lexical")
    assert "title" in hit.channels
    assert hit.text


def test_a_session_that_says_more_is_not_better(tmp_path: Path) -> None:
    memory = Memory.make(tmp_path / "repository")
    memory.archive("20251101-090000", title="one", decisions="marmots hibernate in winter")
    memory.archive(
        "20251102-090000", title="two", decisions=tuple(f"some marmots, case {n}" for n in range(30))
    )
    memory.sync()
    hits = memory.patina().search("marmots hibernate", mode="vector")
    assert hits[0].session == "20251101-090000"


def test_equal_scores_are_ordered_by_name(tmp_path: Path) -> None:
    memory = Memory.make(tmp_path / "repository")
    for session in ("20251102-090000", "20251101-090000", "20251103-090000"):
        memory.archive(session, title="the same", decisions="marmots hibernate")
    memory.sync()
    hits = memory.patina().search("marmots hibernate", kinds=("decision",))
    assert [hit.session for hit in hits] == ["20251101-090000", "20251102-090000", "20251103-090000"]


def test_without_vectors_words_answer_and_say_so(tmp_path: Path) -> None:
    memory = Memory.make(tmp_path / "repository")
    memory.write(".patina/oxidize.yaml", "embedding_model: no-such-model\n")
    memory.commit("feed the marmots")
    memory.sync()
    said: list[str] = []
    patina = memory.patina()
    (hit,) = patina.search("marmots", on_fault=said.append)
    assert (hit.text, said) == ("feed the marmots", ["answering by words only: there are no vectors yet"])
    with pytest.raises(IndexDamaged, match="no vectors"):
        patina.search("marmots", mode="vector")


def test_a_model_that_went_away_leaves_words(memory: Memory) -> None:
    from patina_hooks.api import Patina

    said: list[str] = []
    patina = Patina(memory.repository, Plugins.load(disabled=("patina-acme",)))
    hits = patina.search("sqlite holds every vector", on_fault=said.append)
    assert hits[0].session == "20251101-090000"
    assert said[0].startswith("answering by words only: ")
    with pytest.raises((PluginError, ModelError)):
        patina.search("sqlite", mode="vector")


def test_a_question_without_words_is_answered_by_no_words(memory: Memory) -> None:
    assert ask(memory, "?!", mode="lexical") == []
    assert isinstance(ask(memory, "?!"), list)
