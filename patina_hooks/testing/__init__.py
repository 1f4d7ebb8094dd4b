"""What a plugin author tests with: the contracts that every model and every index backend must hold."""

from __future__ import annotations

from patina_hooks.testing.contract import CHECKS, Check, CheckResult, contract, run_contract
from patina_hooks.testing.indexes import INDEX_CHECKS, IndexCheck, IndexSubject, index_contract

__all__ = [
    "CHECKS",
    "INDEX_CHECKS",
    "Check",
    "CheckResult",
    "IndexCheck",
    "IndexSubject",
    "contract",
    "index_contract",
    "run_contract",
]
