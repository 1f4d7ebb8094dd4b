"""What a user relies on: the contract, and that likeness is of meaning."""

from patina_hooks.authoring import Plugins, open_encoder
from patina_hooks.testing import Check, contract


@contract("static-64", runtime="static")
def test_contract(check: Check) -> None:
    check()


def test_words_of_one_meaning_are_near() -> None:
    encoder = open_encoder(Plugins.load(), "static-64")
    question, near, far = encoder.encode(
        ["repair the error", "fix a bug in the code", "write the documents"], role="passage"
    ).vectors
    assert question @ near > question @ far + 0.1
