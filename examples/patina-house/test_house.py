"""Run where the files are: in ~/house-models."""

from patina_hooks.testing import Check, contract


@contract("house-64")
def test_contract(check: Check) -> None:
    check()
