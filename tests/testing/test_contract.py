from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.distributions import Site, importable

from patina_hooks.models.choice import RuntimeChoice
from patina_hooks.models.encoding import Encoded, Encoder
from patina_hooks.plugins.manager import Plugins
from patina_hooks.specs.models import ModelSpec, Role, TokenModel, Tokens
from patina_hooks.testing import CHECKS, Check, contract, run_contract
from patina_hooks.testing.contract import Subject, open_subject, run_check

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from patina_hooks.specs.vectors import Vectors


@pytest.fixture(scope="module")
def whole() -> Subject:
    return open_subject(Plugins.load(), "acme-64")


@contract("acme-64")
def test_the_decorator_runs_every_check(check: Check) -> None:
    check()


def test_a_model_that_holds_passes_every_check() -> None:
    results = run_contract(Plugins.load(), "acme-64")
    assert [result.name for result in results] == list(CHECKS)
    assert [result.detail for result in results if not result.passed] == []


def test_a_model_that_does_not_open_is_one_failed_result() -> None:
    (result,) = run_contract(Plugins.load(), "no-such-model")
    assert (result.name, result.passed) == ("opens", False)
    assert "no model is named 'no-such-model'" in result.detail


# --- mutants ------------------------------------------------------------------------------------


class Wrapped:
    """A model with one thing broken."""

    def __init__(self, model: TokenModel) -> None:
        self.model = model

    def tokenize(self, texts: Sequence[str], max_tokens: int) -> list[Tokens]:
        return self.model.tokenize(texts, max_tokens)

    def forward(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> Vectors:
        return self.model.forward(ids, mask)


class IgnoresMask(Wrapped):
    def forward(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> Vectors:
        return self.model.forward(ids, np.ones_like(mask))


class QuantisesByBatch(Wrapped):
    def forward(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> Vectors:
        hidden = self.model.forward(ids, mask)
        step = np.abs(hidden).max() / 127
        return np.asarray(np.round(hidden / step) * step, dtype=np.float32)


class Constant(Wrapped):
    def forward(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> Vectors:
        return np.ones_like(self.model.forward(ids, mask))


class Wavers(Wrapped):
    calls = 0

    def forward(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> Vectors:
        self.calls += 1
        return self.model.forward(ids, mask) + np.float32(self.calls * 1e-3)


class NotFinite(Wrapped):
    def forward(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> Vectors:
        return self.model.forward(ids, mask) * np.float32("nan")


class NeverCuts(Wrapped):
    def tokenize(self, texts: Sequence[str], max_tokens: int) -> list[Tokens]:
        return self.model.tokenize(texts, max_tokens // 2)


class HidesCuts(Wrapped):
    def tokenize(self, texts: Sequence[str], max_tokens: int) -> list[Tokens]:
        return [Tokens(one.ids) for one in self.model.tokenize(texts, max_tokens)]


class KeepsTheEnd(Wrapped):
    def tokenize(self, texts: Sequence[str], max_tokens: int) -> list[Tokens]:
        whole = self.model.tokenize(texts, 100_000)
        return [Tokens(one.ids[-max_tokens:], max(0, len(one.ids) - max_tokens)) for one in whole]


class FailsOnEmpty(Wrapped):
    def tokenize(self, texts: Sequence[str], max_tokens: int) -> list[Tokens]:
        if not all(texts):
            raise ValueError("empty text")
        return self.model.tokenize(texts, max_tokens)


class Unnormalised(Encoder):
    def encode(self, texts: Sequence[str], *, role: Role) -> Encoded:
        encoded = super().encode(texts, role=role)
        return Encoded(encoded.vectors * np.float32(2), encoded.cut)


class Double(Encoder):
    def encode(self, texts: Sequence[str], *, role: Role) -> Encoded:
        encoded = super().encode(texts, role=role)
        return Encoded(encoded.vectors.astype(np.float64), encoded.cut)


class SortsByLength(Encoder):
    def encode(self, texts: Sequence[str], *, role: Role) -> Encoded:
        return super().encode(sorted(texts, key=len), role=role)


class DropsPrefix(Encoder):
    def encode(self, texts: Sequence[str], *, role: Role) -> Encoded:
        return super().encode(texts, role="passage")


class ForgetsDuplicates(Encoder):
    def encode(self, texts: Sequence[str], *, role: Role) -> Encoded:
        return super().encode(list(dict.fromkeys(texts)), role=role)


class FlatWhenEmpty(Encoder):
    def encode(self, texts: Sequence[str], *, role: Role) -> Encoded:
        encoded = super().encode(texts, role=role)
        return encoded if texts else Encoded(encoded.vectors.reshape(-1), ())


class PoolsOtherwise(Encoder):
    def encode(self, texts: Sequence[str], *, role: Role) -> Encoded:
        return Encoder(replace(self.spec, pooling="cls"), *_rest(self)).encode(texts, role=role)


class OtherFingerprint(Encoder):
    count = 0

    def __init__(self, spec: ModelSpec, runtime: RuntimeChoice, fingerprint: str, model: TokenModel) -> None:
        OtherFingerprint.count += 1
        super().__init__(spec, runtime, f"{OtherFingerprint.count:032x}", model)


def _rest(encoder: Encoder) -> tuple[RuntimeChoice, str, TokenModel]:
    return RuntimeChoice(encoder.runtime, encoder.reason), encoder.fingerprint, encoder.model


def broken(whole: Subject, mutant: type[Wrapped] | type[Encoder]) -> Subject:
    def reopen() -> Encoder:
        choice, fingerprint, model = _rest(whole.encoder)
        if issubclass(mutant, Encoder):
            return mutant(whole.encoder.spec, choice, fingerprint, model)
        return Encoder(whole.encoder.spec, choice, fingerprint, mutant(model))

    return Subject(reopen(), reopen, whole.module)


@pytest.mark.parametrize(
    ("mutant", "check", "said"),
    [
        (Double, "shape", "float64, not float32"),
        (ForgetsDuplicates, "order", "not in the order of texts"),
        (NotFinite, "shape", "not finite"),
        (Unnormalised, "unit norm", "norms are between 2.0000 and 2.0000"),
        (Constant, "distinct", "different texts have the same vector"),
        (IgnoresMask, "batches", "depend on the batch"),
        (QuantisesByBatch, "batches", "batch_invariant=False"),
        (SortsByLength, "order", "not in the order of texts"),
        (FlatWhenEmpty, "empty batch", r"vectors of no texts are \(0,\)"),
        (FailsOnEmpty, "odd texts", "ValueError: empty text"),
        (NeverCuts, "long text", "is cut to 64 tokens, not 128"),
        (HidesCuts, "long text", "is not recorded as cut"),
        (KeepsTheEnd, "long text", "beyond max_tokens changes the vector"),
        (DropsPrefix, "prefixes", "the query prefix 'query: ' is not put before the text"),
        (PoolsOtherwise, "pooling", "not pooled by 'mean'"),
        (Wavers, "determinism", "a second run returns other vectors"),
        (OtherFingerprint, "determinism", "another fingerprint"),
    ],
)
def test_a_mutant_is_found(
    whole: Subject, mutant: type[Wrapped] | type[Encoder], check: str, said: str
) -> None:
    assert run_check(check, whole).passed
    result = run_check(check, broken(whole, mutant))
    assert not result.passed
    assert re.search(said, result.detail)


def test_a_prefix_that_changes_nothing_is_found(whole: Subject) -> None:
    class Strips(Wrapped):
        def tokenize(self, texts: Sequence[str], max_tokens: int) -> list[Tokens]:
            return self.model.tokenize([text.removeprefix("query: ") for text in texts], max_tokens)

    result = run_check("prefixes", broken(whole, Strips))
    assert "the query prefix 'query: ' has no effect on the vectors" in result.detail


def test_a_model_opened_anew_with_other_weights_is_found(whole: Subject) -> None:
    class Shifted(Wrapped):
        def forward(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> Vectors:
            return self.model.forward(ids, mask) + np.float32(0.5)

    result = run_check("determinism", Subject(whole.encoder, broken(whole, Shifted).reopen, whole.module))
    assert result.detail == "the reopened model returns other vectors"


def test_a_dynamically_quantised_model_holds_once_it_says_so(whole: Subject) -> None:
    mutant = broken(whole, QuantisesByBatch).encoder
    honest = Encoder(replace(mutant.spec, batch_invariant=False), *_rest(mutant))
    assert run_check("batches", Subject(honest, lambda: honest, whole.module)).passed


@pytest.mark.parametrize("name", ["numpy", "git", "tokenizers"])
def test_a_heavy_import_is_found(whole: Subject, tmp_path: Path, name: str) -> None:
    Site(tmp_path).add("patina-heavy", files={"heavy_plugin.py": f"import {name}"})
    with importable(tmp_path):
        result = run_check("light import", replace(whole, module="heavy_plugin"))
    assert result.detail == f"heavy_plugin imports {name}: import it on first use"


def test_a_module_that_cannot_be_imported_is_found(whole: Subject) -> None:
    result = run_check("light import", replace(whole, module="no_such_plugin_module"))
    assert "cannot import no_such_plugin_module" in result.detail


def test_every_check_has_a_mutant() -> None:
    (mark,) = (mark for mark in _marks(test_a_mutant_is_found) if mark.name == "parametrize")
    assert {case[1] for case in mark.args[1]} | {"light import"} == set(CHECKS)


def test_the_checks_need_no_pytest() -> None:
    code = "import sys, patina_hooks.testing; print('pytest' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def _marks(function: Callable[..., object]) -> list[pytest.Mark]:
    marks: list[pytest.Mark] = getattr(function, "pytestmark", [])
    return marks
