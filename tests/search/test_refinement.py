"""Query rewriters, rerankers and filters of plugins: named by recipe or flag, harmless where they fail."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from evaluation.past import Past, make_past, session_id
from support.distributions import Site, importable
from support.shell import Shell

from patina_hooks.api import Patina
from patina_hooks.errors import PluginError, UsageError
from patina_hooks.evaluation.evaluate import evaluate
from patina_hooks.plugins.manager import Plugins

PLUGIN = """
from patina_hooks import FilterSpec, QueryRewriterSpec, RerankerSpec, hookimpl

@hookimpl
def patina_register_query_rewriters():
    for name in ("to_bakers", "to_nothing", "raises"):
        yield QueryRewriterSpec(name, rewrite=f"steps_code:{name}")

@hookimpl
def patina_register_rerankers():
    yield RerankerSpec("backwards", rerank="steps_code:backwards", pool=3)
    yield RerankerSpec("too_few", rerank="steps_code:too_few")
    yield RerankerSpec("raises", rerank="steps_code:raises")

@hookimpl
def patina_register_filters():
    for name in ("without_decisions", "only_sessions", "nothing", "raises", "absent"):
        yield FilterSpec(name, keep=f"steps_code:{name}")
"""
CODE = """
def to_bakers(question, view):
    return "bakers fold the sourdough"

def to_nothing(question, view):
    return " "

def backwards(question, candidates, view):
    return list(range(len(candidates)))

def too_few(question, candidates, view):
    return [1.0]

def only_sessions(question, candidates, view):
    return {one.group for one in candidates if one.group[0] == "session"}

def without_decisions(question, candidates, view):
    return [one.group for one in candidates if "It was decided" not in one.text]

def nothing(question, candidates, view):
    return []

def raises(*arguments):
    raise RuntimeError("no server")
"""
MARMOTS = "why do marmots whistle at eagles"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path / "site")
    site.add(
        "patina-steps",
        files={"steps_plugin.py": PLUGIN, "steps_code.py": CODE},
        entry_points={"patina-steps": "steps_plugin"},
    )
    with importable(site.folder):
        importlib.invalidate_caches()
        yield site


@pytest.fixture
def patina(past: Past, site: Site) -> Iterator[Patina]:
    with Patina(past.memory.repository, Plugins.load(strict=False)) as patina:
        yield patina


def found(patina: Patina, **options: Any) -> list[str]:  # noqa: ANN401 (any option of a search)
    return [hit.session or hit.commit or "" for hit in patina.search(MARMOTS, limit=50, **options)]


@pytest.mark.parametrize("mode", ["hybrid", "vector", "lexical"])
def test_a_rewriter_changes_what_is_looked_up_when_it_is_named(patina: Patina, mode: str) -> None:
    assert found(patina, mode=mode)[0] == session_id(0)
    rewritten = found(patina, mode=mode, rewriters=["to_bakers"])
    asked = patina.search("bakers fold the sourdough", limit=50, mode=mode)  # type: ignore[arg-type]
    assert rewritten == [hit.session or hit.commit for hit in asked]
    assert found(patina, mode=mode)[0] == session_id(0), "none is active by default"


def test_a_reranker_orders_its_pool_and_leaves_the_rest(patina: Patina) -> None:
    before = found(patina)
    after = found(patina, rerankers=["backwards"])
    assert after == [*reversed(before[:3]), *before[3:]]


def test_a_filter_leaves_out_what_it_does_not_keep(patina: Patina) -> None:
    hits = patina.search(MARMOTS, limit=50, filters=["without_decisions"])
    assert hits
    assert not any("It was decided" in hit.text for hit in hits)
    empty = patina.search(MARMOTS, filters=["nothing"])
    assert empty == []
    assert "without --filter" in empty.reason


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"rewriters": ["raises"]}, "RuntimeError: no server (steps_code.py:"),
        ({"rewriters": ["to_nothing"]}, "wants a question that is not empty"),
        ({"rerankers": ["raises"]}, "RuntimeError: no server"),
        ({"rerankers": ["too_few"]}, "gave 1 scores for"),
        ({"filters": ["raises"]}, "RuntimeError: no server"),
        ({"filters": ["absent"]}, "cannot open steps_code:absent"),
    ],
)
def test_the_answer_goes_on_without_a_step_when_it_fails(
    past: Past, patina: Patina, options: dict[str, Any], error: str
) -> None:
    told: list[str] = []
    assert found(patina, on_fault=told.append, **options) == found(patina)
    assert error in told[0]
    assert error in patina.plugins.faults[0].error
    with Patina(past.memory.repository, Plugins.load(strict=True)) as strict, pytest.raises(PluginError):
        found(strict, **options)


def test_a_name_that_nothing_has_is_refused_when_a_question_states_it(patina: Patina) -> None:
    with pytest.raises(PluginError, match="no reranker is named 'nonsense'"):
        found(patina, rerankers=["nonsense"])
    with pytest.raises(UsageError, match="expected a list of names"):
        found(patina, filters="nothing")


def test_the_recipe_names_steps_for_searches_and_evaluation(tmp_path: Path, site: Site) -> None:
    past = make_past(tmp_path / "repository", 6)
    recipe = past.memory.root / ".patina/oxidize.yaml"
    usual = recipe.read_text()
    providers = Plugins.load(strict=False)
    with Patina(past.memory.repository, providers) as patina:
        before, measured = found(patina), evaluate(patina, names=["commit_session", "commit_files"])
        recipe.write_text(f"{usual}search: {{rerankers: [backwards]}}\n")
        patina.sync()
        assert found(patina) == [*reversed(before[:3]), *before[3:]]
        assert found(patina, rerankers=[]) == before
        sessions, files = evaluate(patina, names=["commit_session", "commit_files"]).sets
        assert files == measured.sets[1]
        ranks = zip(
            measured.sets[0].reciprocal_ranks("hybrid"), sessions.reciprocal_ranks("hybrid"), strict=True
        )
        assert {(1.0, 1 / 3)} <= set(ranks)
        assert sessions.reciprocal_ranks("bm25") == measured.sets[0].reciprocal_ranks("bm25")
        recipe.write_text(f"{usual}search: {{filters: [not-installed]}}\n")
        patina.sync()
        told: list[str] = []
        assert found(patina, on_fault=told.append) == before
        assert "no filter is named 'not-installed'" in told[0]


def test_a_rewriter_of_the_recipe_is_measured_with_the_vectors_of_its_question(
    tmp_path: Path, site: Site
) -> None:
    past = make_past(tmp_path / "repository", 6)
    recipe = past.memory.root / ".patina/oxidize.yaml"
    recipe.write_text(f"{recipe.read_text()}search: {{rewriters: [to_bakers]}}\n")
    with Patina(past.memory.repository, Plugins.load(strict=True)) as patina:
        patina.sync()
        (goal,) = evaluate(patina, names=["goal"]).sets
    right = [answer.metrics["hybrid"].rr for answer in goal.answers]
    assert right.count(1.0) == 1, "every question finds the session of the bakers first"


def test_the_command_line_names_steps(past: Past, site: Site) -> None:
    shell = Shell(past.memory.root)
    before = shell.invoke("scry", "--json", MARMOTS).stdout
    assert shell.invoke("scry", "--json", "--reranker", "backwards", MARMOTS).stdout != before
    assert "without --filter" in shell.invoke("scry", "--filter", "nothing", MARMOTS).stderr
    unknown = shell.invoke("scry", "--rewriter", "nonsense", MARMOTS, catch=True)
    assert "no query rewriter is named 'nonsense'" in str(unknown.exception)
    assert "rerankers: backwards, raises, too_few" in shell.invoke("plugins").stdout
