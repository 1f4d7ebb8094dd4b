"""What a plugin author tests with: the contracts of models, index backends and what joins a search."""

from __future__ import annotations

from patina_hooks.testing.contract import CHECKS, Check, CheckResult, contract, run_contract
from patina_hooks.testing.indexes import INDEX_CHECKS, IndexCheck, IndexSubject, index_contract
from patina_hooks.testing.search import (
    SEARCH_CHECKS,
    SearchCheck,
    SearchReport,
    SearchSubject,
    filter_contract,
    reranker_contract,
    retriever_contract,
    rewriter_contract,
    run_search_contract,
)

__all__ = [
    "CHECKS",
    "INDEX_CHECKS",
    "SEARCH_CHECKS",
    "Check",
    "CheckResult",
    "IndexCheck",
    "IndexSubject",
    "SearchCheck",
    "SearchReport",
    "SearchSubject",
    "contract",
    "filter_contract",
    "index_contract",
    "reranker_contract",
    "retriever_contract",
    "rewriter_contract",
    "run_contract",
    "run_search_contract",
]
