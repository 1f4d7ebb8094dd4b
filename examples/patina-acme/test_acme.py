from patina_hooks.testing import Check, contract


@contract("acme-64")
def test_contract(check: Check) -> None:
    check()
