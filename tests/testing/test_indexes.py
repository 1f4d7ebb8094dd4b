"""The contract of an index: every backend holds it, and none that breaks it passes."""

from __future__ import annotations

import pytest
from support.small_graphs import NAME, providers

from patina_hooks.testing import INDEX_CHECKS, IndexCheck, IndexSubject, index_contract

BROKEN = {
    "KeepsTheRemoved": "remove",
    "TakesTheFirstOfAKey": "replace",
    "HeedsNoAllowed": "allowed",
    "BreaksTiesByChance": "ties",
    "ScoresRoughly": "search",
    "MissesHalf": "recall",
    "AnswersByItsPast": "history",
    "CountsNoWrites": "stats",
    "RebuildsOntoWhatWas": "rebuild",
    "ReadsWhatIsForeign": "foreign",
    "TrustsEveryFile": "damage",
    "WritesInPlace": "killed",
    "Forgets": "reopen",
}


@index_contract("exact")
def test_the_exact_index_holds_the_contract(check: IndexCheck) -> None:
    check()


@index_contract("short")
def test_the_index_of_short_vectors_holds_the_contract(check: IndexCheck) -> None:
    check()


@index_contract("usearch")
def test_the_index_of_graphs_holds_the_contract_without_one(check: IndexCheck) -> None:
    check()


@index_contract(NAME, plugins=providers)
def test_the_index_of_graphs_holds_the_contract(check: IndexCheck) -> None:
    check()


@pytest.mark.parametrize(("broken", "check"), BROKEN.items())
def test_what_is_broken_is_seen(broken: str, check: str) -> None:
    subject = IndexSubject(f"support.broken_indexes:{broken}", approximate=False, short=0, plugin="broken")
    with pytest.raises(AssertionError):
        INDEX_CHECKS[check](subject)
