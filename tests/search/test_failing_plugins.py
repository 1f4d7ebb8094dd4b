"""Whatever a plugin does at a question, it is answered, and the fault is recorded until it is gone."""

from __future__ import annotations

import importlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from evaluation.past import Past, make_past
from support.distributions import Site, importable
from support.shell import Shell

from patina_hooks.api import Patina
from patina_hooks.errors import IndexDamaged, PluginError
from patina_hooks.evaluation.evaluate import evaluate
from patina_hooks.plugins.manager import Plugins
from patina_hooks.search.engine import SearchEngine
from patina_hooks.search.filters.filters import Allowed
from patina_hooks.search.retrieval import step_calls
from patina_hooks.search.retrieval.store_view import StoreView
from patina_hooks.store.log import Log
from patina_hooks.store.recorded_faults import read_recorded_faults

PLUGIN = """
from patina_hooks import FilterSpec, QueryRewriterSpec, RerankerSpec, RetrieverSpec, hookimpl

@hookimpl
def patina_register_retrievers():
    if "{retriever}":
        yield RetrieverSpec("signal", search="odd_code:{retriever}", weight=0)

@hookimpl
def patina_register_query_rewriters():
    yield QueryRewriterSpec("odd", rewrite="odd_code:{step}")

@hookimpl
def patina_register_rerankers():
    yield RerankerSpec("odd", rerank="odd_code:{step}")

@hookimpl
def patina_register_filters():
    yield FilterSpec("odd", keep="odd_code:{step}")
"""
CODE = """
import itertools, os, sqlite3, sys, threading

kept = []
never = threading.Event()

class RaisingMapping(dict):
    def items(self):
        yield 1, 1.0
        raise RuntimeError("midway")

def fine(question, view, limit): return view.match_observations(question, limit)
def raises(*_): raise RuntimeError("no server")
def exits(*_): sys.exit(3)
def interrupts(*_): raise KeyboardInterrupt
def own_database(*_): sqlite3.connect(":memory:").execute("SELECT * FROM absent")
def unknown_column(question, view, limit): return view.match_documents("kind", question, limit)
def hangs(*_): never.wait()
def nothing(*_): return None
def midway(*_): return RaisingMapping()
def raising_generator(*_):
    yield 1.0
    raise RuntimeError("midway")
def endless(*_): return itertools.repeat(1.0)
def not_a_number(*_): return {1: float("nan")}
def far_apart(*_): return {1: 1e308, 2: -1e308}
def beyond_floats(*_): return {1: 10 ** 400}
def text_score(*_): return {1: "high"}
def beyond_integers(*_): return {2 ** 70: 1.0}
def surrogates(*_): return {("session", "\\ud800"): 1.0}
def text_key(*_): return {"session": 1.0}
def huge(*_): return dict.fromkeys(range(1_000_001), 1.0)
def large(*_): return dict.fromkeys(range(10 ** 6, 10 ** 6 + 100_000), 1.0)
def not_there(*_): return {10 ** 9: 5.0, -1: 5.0}
def keeps_the_view(question, view, limit):
    rows = view.observations()
    next(rows, None)
    kept.extend([view, rows])
    return {}
def a_number(*_): return 7
def surrogate_text(*_): return "\\ud800"
def scores_that_are_nan(question, candidates, view): return [float("nan")] * len(candidates)
def a_set(question, candidates, view): return set(range(len(candidates)))
def candidates_themselves(question, candidates, view): return candidates
"""
QUESTION = "why do bakers fold the sourdough"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path / "site")
    with importable(site.folder):
        yield site


def install(site: Site, *, retriever: str = "", step: str = "") -> None:
    plugin = PLUGIN.format(retriever=retriever, step=step or "raises")
    files = {"odd_plugin.py": plugin, "odd_code.py": CODE}
    site.add("patina-odd", files=files, entry_points={"patina-odd": "odd_plugin"})
    importlib.invalidate_caches()


def opened(past: Past, *, strict: bool = False) -> Patina:
    return Patina(past.memory.repository, Plugins.load(strict=strict))


def answer(past: Past, *, told: list[str] | None = None, **options: Any) -> list[str]:  # noqa: ANN401
    with opened(past) as patina:
        remarks: list[str] = []
        hits = patina.search(QUESTION, limit=50, on_fault=remarks.append, **options)
        if told is not None:
            told += remarks
        return [hit.text for hit in hits]


def recorded(past: Past) -> list[tuple[str, str]]:
    with Log(past.memory.state, create=False) as log:
        return [(fault.where, fault.error) for fault in read_recorded_faults(log)]


@pytest.mark.parametrize(
    ("function", "error"),
    [
        ("raises", "RuntimeError: no server"),
        ("exits", "SystemExit: 3"),
        ("interrupts", "KeyboardInterrupt"),
        ("own_database", "no such table: absent"),
        ("unknown_column", "unknown column 'kind'"),
        ("nothing", "gave a value of type NoneType"),
        ("midway", "RuntimeError: midway"),
        ("raising_generator", "gave a value of type generator"),
        ("not_a_number", "not finite"),
        ("far_apart", "not finite"),
        ("beyond_floats", "OverflowError"),
        ("text_score", "a score is a value of type str"),
        ("beyond_integers", "gave a value of type int"),
        ("surrogates", "gave a value of type tuple"),
        ("text_key", "gave a value of type str"),
        ("huge", "more than 1,000,000 scores"),
    ],
)
def test_a_question_is_answered_and_the_fault_recorded_when_a_retriever_fails(
    past: Past, site: Site, function: str, error: str
) -> None:
    before = answer(past)
    install(site, retriever=function)
    told: list[str] = []
    assert answer(past, told=told) == before
    assert [error in remark for remark in told] == [True], "once, whichever collections are asked"
    ((where, recorded_error),) = recorded(past)
    assert where == "retriever signal"
    assert error in recorded_error
    with opened(past, strict=True) as patina, pytest.raises(PluginError, match="retriever signal"):
        patina.search(QUESTION)


@pytest.mark.parametrize("function", ["large", "not_there", "keeps_the_view", "fine"])
def test_what_a_view_does_not_show_is_left_out_when_a_retriever_gives_it(
    past: Past, site: Site, function: str
) -> None:
    before = answer(past)
    install(site, retriever=function)
    told: list[str] = []
    assert answer(past, told=told) == before
    assert told == []


@pytest.mark.parametrize(
    ("step", "function", "error"),
    [
        ("rewriters", "raises", "RuntimeError: no server"),
        ("rewriters", "a_number", "wants a question"),
        ("rewriters", "surrogate_text", "UnicodeEncodeError"),
        ("rewriters", "raising_generator", "gave a value of type generator"),
        ("rerankers", "exits", "SystemExit"),
        ("rerankers", "raising_generator", "RuntimeError: midway"),
        ("rerankers", "endless", "more scores"),
        ("rerankers", "scores_that_are_nan", "not finite"),
        ("rerankers", "a_set", "gave a value of type set"),
        ("rerankers", "candidates_themselves", "a score is a value of type RankedGroup"),
        ("filters", "own_database", "no such table: absent"),
        ("filters", "raising_generator", "gave a value of type generator"),
        ("filters", "a_number", "wants a collection of groups"),
        ("filters", "candidates_themselves", "wants groups"),
    ],
)
def test_a_question_is_answered_and_the_fault_recorded_when_a_step_fails(
    past: Past, site: Site, step: str, function: str, error: str
) -> None:
    before = answer(past)
    install(site, step=function)
    told: list[str] = []
    assert answer(past, told=told, **{step: ["odd"]}) == before
    assert [error in remark for remark in told] == [True]
    ((_, recorded_error),) = recorded(past)
    assert error in recorded_error
    with opened(past, strict=True) as patina, pytest.raises(PluginError, match="patina-odd"):
        patina.search(QUESTION, **{step: ["odd"]})  # type: ignore[arg-type]


@pytest.mark.parametrize("step", ["retriever", "rewriters", "rerankers", "filters"])
def test_a_question_is_answered_when_a_plugin_hangs(
    past: Past, site: Site, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    before = answer(past)
    install(site, **{"retriever" if step == "retriever" else "step": "hangs"})
    options: dict[str, Any] = {} if step == "retriever" else {step: ["odd"]}
    monkeypatch.setattr(step_calls, "STEP_SECONDS", 0.1)
    with opened(past) as patina:
        told: list[str] = []
        for _ in range(2):
            hits = patina.search(QUESTION, limit=50, on_fault=told.append, **options)
            assert [hit.text for hit in hits] == before
        assert len(told) == 1, "it is not called a second time"
        assert "did not return within 0.1 s" in told[0]
    assert "did not return" in recorded(past)[0][1], "also after a question that did without it"


def test_a_view_is_refused_when_the_question_is_answered(past: Past, site: Site) -> None:
    install(site, retriever="keeps_the_view")
    with opened(past) as patina:
        patina.search(QUESTION)
        view, rows = importlib.import_module("odd_code").kept[:2]
        for method, arguments in (("match_observations", ("x", 1)), ("texts", ([1],)), ("observations", ())):
            with pytest.raises(RuntimeError, match="a view cannot be used after"):
                getattr(view, method)(*arguments)
        with pytest.raises(RuntimeError, match="a view cannot be used after"):
            next(rows)
        assert not hasattr(view, "connection")


@pytest.mark.parametrize("error", [IndexDamaged("gone"), sqlite3.OperationalError("disk I/O error")])
def test_an_error_of_the_store_is_not_the_plugins_when_it_meets_it(
    past: Past, site: Site, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    install(site, retriever="fine")

    def fail(*_: object) -> None:
        raise error

    with opened(past) as patina, closing(SearchEngine(patina)) as engine, engine.reading() as log:
        (signal,) = [retriever for retriever in engine.retrievers() if retriever.name == "signal"]
        view = StoreView(log.connection, Allowed(log.connection))
        monkeypatch.setattr(view, "match_observations", fail)
        with pytest.raises(type(error)):
            signal.search(QUESTION, view, 10)
        assert patina.plugins.faults == ()


def test_a_fault_is_listed_until_the_function_returns(tmp_path: Path, site: Site) -> None:
    past = make_past(tmp_path / "repository", 2)
    shell = Shell(past.memory.root)
    install(site, retriever="raises")
    shown = shell.invoke("scry", QUESTION).stderr
    assert shown.count("patina-odd: retriever signal: RuntimeError: no server") == 1
    status = json.loads(shell.invoke("status", "--json").stdout)
    (fault,) = status["faults"]
    assert (fault["plugin"], fault["where"]) == ("patina-odd", "retriever signal")
    assert "error in retriever signal: RuntimeError: no server" in shell.invoke("plugins").stdout
    (listed,) = [
        one for one in json.loads(shell.invoke("plugins", "--json").stdout) if one["name"] == "patina-odd"
    ]
    assert [one["where"] for one in listed["faults"]] == ["retriever signal"]
    answer(past, mode="vector")
    assert len(recorded(past)) == 1, "a question that does not call it leaves the fault"
    with Patina(past.memory.repository, Plugins.load(disabled=["patina-odd"])) as patina:
        patina.search(QUESTION)
    assert recorded(past) == []


def test_an_evaluation_tells_a_cause_once_when_a_retriever_fails_at_each_question(
    past: Past, site: Site
) -> None:
    install(site, retriever="raises")
    told: list[str] = []
    with opened(past) as patina:
        evaluate(patina, names=["goal"], on_fault=lambda fault: told.append(fault.error))
    assert len(told) == 1
