"""The contract of what plugins add to a search: honest functions hold it, and none that breaks it passes."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.distributions import Site, importable
from support.memory import Memory
from support.shell import Shell

from patina_hooks.plugins.hook_threads import HookThread
from patina_hooks.plugins.kinds import FILTERS, RERANKERS, RETRIEVERS, REWRITERS, Kind
from patina_hooks.plugins.manager import Plugins
from patina_hooks.search.retrieval import step_calls
from patina_hooks.testing import SEARCH_CHECKS, SearchCheck, SearchSubject, retriever_contract
from patina_hooks.testing.search import open_search_subject, run_search_contract
from patina_hooks.testing.small_memory import SmallMemory

PLUGIN = """
from patina_hooks import FilterSpec, QueryRewriterSpec, RerankerSpec, RetrieverSpec, hookimpl

@hookimpl
def patina_register_retrievers():
    yield RetrieverSpec("words", search="kit_code:search_words")
    yield RetrieverSpec("near", search="kit_code:search_near", vectors=True)
    yield RetrieverSpec("titles", search="kit_code:search_titles")

@hookimpl
def patina_register_query_rewriters():
    yield QueryRewriterSpec("plural", rewrite="kit_code:rewrite")

@hookimpl
def patina_register_rerankers():
    yield RerankerSpec("long", rerank="kit_code:rerank")

@hookimpl
def patina_register_filters():
    yield FilterSpec("sessions", keep="kit_code:keep")
"""
CODE = """
import itertools, pathlib, threading

calls = itertools.count()
cache = {}

def search_words(question, view, limit):
    words = question.split()
    scores = {seen.number: sum(word in seen.text for word in words) for seen in view.observations()}
    found = sorted((number for number in scores if scores[number]), key=lambda n: (-scores[n], n))
    return {number: scores[number] for number in found[:limit]}
def search_near(question, view, limit): return dict(list(view.nearest(question, limit).items())[:limit])
def search_titles(question, view, limit): return view.match_documents("title", question, limit)
def rewrite(question, view): return question + " and others"
def rerank(question, candidates, view): return [len(candidate.text) for candidate in candidates]
def keep(question, candidates, view): return {c.group for c in candidates if c.group[0] == "session"}

# --- broken ones
def gives_nan(question, view, limit):
    return {n: float("nan") for n in view.match_observations(question, limit)}
def fails_on_odd(question, view, limit):
    return {} if question.strip() else 1 / 0
def invents(question, view, limit): return {("session", "20990101-000000"): 1.0}
def counts(question, view, limit):
    return {n: next(calls) for n in view.match_observations(question, limit)}
def remembers(question, view, limit):
    texts = {seen.text for seen in view.observations()}
    cache.setdefault("texts", set()).update(texts)
    return {n: len(cache["texts"]) for n in view.match_observations(question, limit)}
def caches(question, view, limit):
    return cache.setdefault(question, view.match_observations(question, limit))
def too_many(question, view, limit): return {seen.number: 1.0 for seen in view.observations()}
def asks_vectors(question, view, limit): return view.nearest(question, 3)
def writes(question, view, limit):
    import sqlite3
    if connection := getattr(vars(view)["_view"], "connection", None):
        path = pathlib.Path(connection.execute("PRAGMA database_list").fetchone()[2])
        path.with_name("mine.txt").write_text(str(next(calls)))
    return {}
def hangs(*_): threading.Event().wait()

def rewrites_to_nothing(question, view): return ""
def rewrites_by_what_it_sees(question, view): return question + " ".join(s.text for s in view.observations())
def rewrites_by_what_it_saw(question, view):
    cache.setdefault("seen", set()).update(s.text for s in view.observations())
    return question + " ".join(sorted(cache["seen"]))
def reranks_one(question, candidates, view): return [1.0]
def reranks_by_chance(question, candidates, view): return [next(calls) % 7 for _ in candidates]
def keeps_all_but_first(question, candidates, view): return [c.group for c in candidates[next(calls) % 2:]]
def keeps_others(question, candidates, view): return [("session", "20990101-000000")]
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site"))
    site.add(
        "patina-kit",
        files={"kit_plugin.py": PLUGIN, "kit_code.py": CODE},
        entry_points={"patina-kit": "kit_plugin"},
    )
    with importable(site.folder):
        importlib.invalidate_caches()
        yield site


@pytest.fixture(scope="module")
def memory() -> SmallMemory:
    return SmallMemory()


def opened(memory: SmallMemory, kind: Kind[Any], name: str, function: str = "") -> SearchSubject:
    subject = open_search_subject(Plugins.load(), kind, name, memory)
    if function:
        subject.function.function = getattr(importlib.import_module("kit_code"), function)
    return subject


@retriever_contract("words")
def test_the_decorator_runs_every_check(site: Site, check: SearchCheck) -> None:
    check()


def test_honest_functions_pass_every_check(site: Site) -> None:
    reports = run_search_contract(Plugins.load())
    assert [report.function for report in reports] == [
        "retriever near", "retriever titles", "retriever words", "query rewriter plural", "reranker long",
        "filter sessions",
    ]  # fmt: skip
    for report in reports:
        kind = report.function.rpartition(" ")[0]
        assert [result.name for result in report.results] == list(SEARCH_CHECKS[kind])
        assert [result.detail for result in report.results if not result.passed] == [], report.function


@pytest.mark.parametrize(
    ("kind", "name", "function", "check"),
    [
        (RETRIEVERS, "words", "gives_nan", "shape"),
        (RETRIEVERS, "words", "fails_on_odd", "odd questions"),
        (RETRIEVERS, "words", "invents", "visible"),
        (RETRIEVERS, "words", "invents", "empty view"),
        (RETRIEVERS, "words", "counts", "repetition"),
        (RETRIEVERS, "words", "remembers", "hidden texts"),
        (RETRIEVERS, "words", "caches", "visible"),
        (RETRIEVERS, "words", "too_many", "limit"),
        (RETRIEVERS, "words", "asks_vectors", "vectors"),
        (RETRIEVERS, "words", "writes", "no writes"),
        (REWRITERS, "plural", "rewrites_to_nothing", "shape"),
        (REWRITERS, "plural", "rewrites_by_what_it_saw", "hidden texts"),
        (RERANKERS, "long", "reranks_one", "shape"),
        (RERANKERS, "long", "reranks_by_chance", "repetition"),
        (FILTERS, "sessions", "keeps_all_but_first", "repetition"),
        (FILTERS, "sessions", "keeps_others", "candidates"),
    ],
)
def test_what_is_broken_is_seen(
    site: Site, memory: SmallMemory, kind: Kind[Any], name: str, function: str, check: str
) -> None:
    subject = opened(memory, kind, name, function)
    with pytest.raises((AssertionError, ArithmeticError, TypeError, ValueError)):
        SEARCH_CHECKS[kind.noun][check](subject)


def test_a_function_that_hangs_fails_each_check_at_once(
    site: Site, memory: SmallMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step_calls, "STEP_SECONDS", 0.1)
    subject = opened(memory, RETRIEVERS, "words", "hangs")
    with pytest.raises(AssertionError, match="it does not return within"):
        SEARCH_CHECKS["retriever"]["shape"](subject)
    with pytest.raises(AssertionError, match="an earlier call did not return"):
        SEARCH_CHECKS["retriever"]["limit"](subject)
    assert isinstance(subject.thread, HookThread)


def test_doctor_runs_the_checks_of_what_is_installed(
    tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = Memory.make(tmp_path / "repository")
    memory.commit("begin")
    memory.sync()
    shell = Shell(memory.root)
    assert "patina-kit: retriever words: 10 contract checks pass" in shell.invoke("doctor", catch=True).stdout
    module = importlib.import_module("kit_code")
    monkeypatch.setattr(module, "search_words", module.too_many)
    shown = shell.invoke("doctor", catch=True).stdout
    assert "patina-kit: retriever words: limit" in shown
