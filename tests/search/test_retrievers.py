"""Retrievers of plugins: a share of the fused answer, measured by `patina eval`, harmless where they fail."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from evaluation.past import Past, make_past, session_id, space_of
from support.distributions import Site, importable

from patina_hooks.api import Patina
from patina_hooks.errors import PluginError
from patina_hooks.evaluation.evaluate import evaluate, tune
from patina_hooks.plugins.manager import Plugins
from patina_hooks.search.fusion import WEIGHTS
from patina_hooks.search.stored_weights import load_tuned_weights, store_tuned_weights

PLUGIN = """
from patina_hooks import RetrieverSpec, hookimpl

@hookimpl
def patina_register_retrievers():
    yield RetrieverSpec("{name}", search="signal_search:{function}", weight={weight})
"""
SEARCHES = """
def later_sessions(question, view, limit):
    # The later a session, the better it is.
    numbers = [seen.number for seen in view.observations()]
    groups = {group for found in view.groups(numbers).values() for group in found}
    return {group: int(group[1][:8]) for group in groups if group[0] == "session"}

def lines_with_oven(question, view, limit):
    return {seen.number: 1.0 for seen in view.observations() if "oven" in seen.text}

def raises(question, view, limit):
    raise RuntimeError("no ticket server")

def gives_a_list(question, view, limit):
    return [1]

def gives_nan(question, view, limit):
    return {1: float("nan")}

def gives_what_is_not_there(question, view, limit):
    return {10**9: 1.0, ("session", "20990101-000000"): 1.0, ("commit", "f" * 40): 1.0}
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path / "site")
    with importable(site.folder):
        yield site


def add_retriever(site: Site, function: str, *, name: str = "signal", weight: float = 100) -> None:
    plugin = PLUGIN.format(name=name, function=function, weight=weight)
    files = {"signal_plugin.py": plugin, "signal_search.py": SEARCHES}
    site.add("patina-signal", files=files, entry_points={"patina-signal": "signal_plugin"})
    importlib.invalidate_caches()


def opened(past: Past, *, strict: bool = False) -> Patina:
    return Patina(past.memory.repository, Plugins.load(strict=strict))


def sessions(patina: Patina, question: str = "why do bakers fold the sourdough") -> list[str | None]:
    return [hit.session for hit in patina.search(question, limit=50)]


def test_a_plugin_changes_the_fused_answer_when_it_is_installed(past: Past, site: Site) -> None:
    with opened(past) as patina:
        assert sessions(patina)[0] == session_id(3)
    add_retriever(site, "later_sessions")
    with opened(past) as patina:
        found = [session for session in sessions(patina) if session]
        assert found[0] == past.sessions[-1]
        hit = patina.search("why do bakers fold the sourdough", limit=50)[0]
        assert hit.channels["signal"] == int(past.sessions[-1][:8])
        assert 0 <= hit.score <= 1


def test_observations_of_a_plugin_speak_for_their_groups_when_nothing_else_finds_them(
    past: Past, site: Site
) -> None:
    add_retriever(site, "lines_with_oven")
    with opened(past) as patina:
        hits = patina.search("zyzzyva", mode="lexical")
    assert {hit.session for hit in hits} == {session_id(3), session_id(4)}, "its own, and who speaks of it"
    assert all("oven" in hit.text for hit in hits)
    assert all(set(hit.channels) == {"signal"} for hit in hits)


def test_a_retriever_of_words_takes_no_part_when_vectors_alone_answer(past: Past, site: Site) -> None:
    add_retriever(site, "later_sessions")
    with opened(past) as patina:
        hits = patina.search("why do bakers fold the sourdough", mode="vector")
    assert all(set(hit.channels) == {"vector"} for hit in hits)


def test_filters_hold_for_a_plugin_when_it_finds_more(past: Past, site: Site) -> None:
    add_retriever(site, "lines_with_oven")
    with opened(past) as patina:
        hits = patina.search("oven", session=session_id(3), kinds="decision")
        assert {(hit.session, hit.kind) for hit in hits} == {(session_id(3), "decision")}


@pytest.mark.parametrize(
    ("function", "error"),
    [
        ("raises", "RuntimeError: no ticket server (signal_search.py:"),
        ("gives_a_list", "TypeError: gave a value of type list"),
        ("gives_nan", "ValueError: a score is"),
        ("is_absent", "cannot open signal_search:is_absent"),
    ],
)
def test_the_answer_goes_on_without_a_plugin_when_it_fails(
    past: Past, site: Site, function: str, error: str
) -> None:
    with opened(past) as patina:
        before = patina.search("bakers")
    add_retriever(site, function, weight=0)
    told: list[str] = []
    with opened(past) as patina:
        for _ in range(2):
            hits = patina.search("bakers", on_fault=told.append)
            assert [hit.text for hit in hits] == [hit.text for hit in before]
        (fault,) = patina.plugins.faults
    assert fault.plugin == "patina-signal"
    assert error in fault.error
    assert error in told[0]
    with opened(past, strict=True) as patina, pytest.raises(PluginError, match="patina-signal"):
        patina.search("bakers")


def test_what_is_not_there_is_no_answer_when_a_plugin_gives_it(past: Past, site: Site) -> None:
    add_retriever(site, "gives_what_is_not_there")
    with opened(past) as patina:
        assert patina.search("zyzzyva", mode="lexical") == []


def test_a_plugin_cannot_take_the_name_of_a_built_in_retriever(past: Past, site: Site) -> None:
    add_retriever(site, "later_sessions", name="vector")
    with opened(past) as patina:
        assert sessions(patina)[0] == session_id(3)
        (fault,) = patina.plugins.faults
    assert "is that of a built-in retriever" in fault.error


def test_eval_measures_a_plugin_when_it_is_installed(past: Past, site: Site) -> None:
    with opened(past) as patina:
        before = evaluate(patina, names=["goal", "commit_files"])
    add_retriever(site, "later_sessions")
    with opened(past) as patina:
        after = evaluate(patina, names=["goal", "commit_files"])
    assert after.measured.weights.keys() == {*WEIGHTS, "signal"}
    assert sum(after.measured.weights.values()) == pytest.approx(1)
    goal, files = after.sets
    assert goal.methods == [*before.sets[0].methods, "signal"]
    # Of twelve sessions asked one after the other, the latest ten are found, the first place for one alone.
    assert goal.figures("signal").mrr == pytest.approx(sum(1 / rank for rank in range(1, 11)) / 12)
    assert goal.figures("hybrid").mrr < before.sets[0].figures("hybrid").mrr
    assert files == before.sets[1], "files are no answers of a search"


def test_what_a_question_may_not_see_is_hidden_when_a_plugin_looks(past: Past, site: Site) -> None:
    """Goals repeat titles: a plugin that reads all that it is shown finds no session by its own goal."""
    spying = (
        "def spy(question, view, limit):\n"
        "    asked = set(question.splitlines())\n"
        "    return {seen.number: 1.0 for seen in view.observations() if seen.text in asked}\n"
    )
    plugin = PLUGIN.format(name="signal", function="spy", weight=1)
    site.add(
        "patina-signal",
        files={"signal_plugin.py": plugin, "signal_search.py": spying},
        entry_points={"patina-signal": "signal_plugin"},
    )
    with opened(past) as patina:
        evaluation = evaluate(patina, names=["goal", "held_out", "commit_session"])
    assert [one.figures("signal").mrr for one in evaluation.sets] == [0, 0, 0]


def test_tuning_weighs_a_plugin_when_it_is_installed(tmp_path: Path, site: Site) -> None:
    past = make_past(tmp_path / "repository", 4)
    add_retriever(site, "later_sessions", weight=0.5)
    with opened(past) as patina:
        assert tune(patina).weights.keys() == {*WEIGHTS, "signal"}


def test_weights_of_a_plugin_that_is_gone_are_ignored_with_a_remark(tmp_path: Path) -> None:
    past = make_past(tmp_path / "repository", 4)
    space = space_of(past.memory)
    patina = past.memory.patina()
    tuned = replace(tune(patina), low=0.1, fingerprint=space.fingerprint)
    store_tuned_weights(past.memory.state, replace(tuned, weights=dict(WEIGHTS)))
    before = patina.search("marmots")
    store_tuned_weights(past.memory.state, replace(tuned, weights={**WEIGHTS, "signal": 0.5}))
    assert load_tuned_weights(past.memory.state) is not None
    told: list[str] = []
    assert patina.search("marmots", on_fault=told.append) == before
    remark = "stored weights of retrievers that are not installed are ignored: signal"
    assert told == [remark]
    assert patina.status().warnings == (f"{remark}; patina eval --tune",)
    measured = evaluate(patina, names=["commit_session"], after=0).measured
    assert measured.unknown_weights == ("signal",)
    assert measured.weights == WEIGHTS


def test_a_new_plugin_has_its_own_weight_when_stored_weights_do_not_name_it(
    tmp_path: Path, site: Site
) -> None:
    past = make_past(tmp_path / "repository", 4)
    with opened(past) as patina:
        store_tuned_weights(past.memory.state, replace(tune(patina), low=0.1, weights=dict(WEIGHTS)))
    add_retriever(site, "later_sessions", weight=1)
    with opened(past) as patina:
        weights = evaluate(patina, names=["commit_session"]).measured.weights
    assert weights == pytest.approx({"signal": 0.5, **{name: value / 2 for name, value in WEIGHTS.items()}})
