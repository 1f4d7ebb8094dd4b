"""What a plugin author tests with: the contract that every model must hold."""

from __future__ import annotations

from patina_hooks.testing.contract import CHECKS, Check, CheckResult, contract, run_contract

__all__ = ["CHECKS", "Check", "CheckResult", "contract", "run_contract"]
