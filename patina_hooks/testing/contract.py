"""The contract of a model: plain functions that raise AssertionError with what does not hold.

In the author's tests, a test for each check:

    from patina_hooks.testing import Check, contract

    @contract("acme-64")
    def test_contract(check: Check) -> None:
        check()

`patina doctor` runs the same checks through `run_contract`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from patina_hooks.errors import PatinaError
from patina_hooks.models.choice import AUTO, RuntimeChoice
from patina_hooks.models.encoding import Encoder, open_encoder, truncate_rows
from patina_hooks.models.reading import prefix_of
from patina_hooks.plugins.kinds import MODELS
from patina_hooks.plugins.manager import Plugins
from patina_hooks.specs.models import Role

if TYPE_CHECKING:
    import pytest

    from patina_hooks.config.recipe import Reading
    from patina_hooks.specs.vectors import Vectors

HEAVY: Final = ("numpy", "onnxruntime", "tokenizers", "torch", "transformers", "mlx", "git")
"""Modules that importing a plugin's module must not import."""

TEXTS: Final = (
    "fix",
    "why do we store vectors in a file of their own?",
    "rename the index; remove the old cache, and test that nothing is lost when it is killed half way",
    "git rebase",
    "the session ended with three open questions",
    "a path with snake_case_names and CamelCase, 42 times",
    "naïve café, Straße, 日本語, 🙂",
    "search",
)
_ODD: Final = ("", " \n\t ", "\0", "a\0b", "\ud800", "x" * 5_000, "\u202e\x1b[31m", "🙂" * 300)
_ROLES: Final[tuple[Role, ...]] = ("query", "passage")
_NEAR: Final = 1e-4
_ALIKE: Final = 0.999


@dataclass(frozen=True, slots=True)
class Subject:
    """What is checked: an open encoder, a function that opens it again, and its plugin's module."""

    encoder: Encoder
    reopen: Callable[[], Encoder]
    module: str


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of a check of a model.

    detail: what does not hold, "" if it passed. hint: the command to try, or "".
    """

    name: str
    passed: bool
    detail: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """A check bound to a model: calling it raises if the model fails it."""

    name: str
    function: Callable[[Subject], None]
    subject: Callable[[], Subject]

    def __call__(self) -> None:
        self.function(self.subject())


# --- the checks ---------------------------------------------------------------------------------


def check_shape(subject: Subject) -> None:
    """Return finite float32 vectors [n, dimensions], with a `cut` for each text."""
    import numpy as np

    for role in _ROLES:
        encoded = subject.encoder.encode(TEXTS, role=role)
        expected = (len(TEXTS), subject.encoder.dimensions)
        require(encoded.vectors.shape == expected, f"vectors are {encoded.vectors.shape}, not {expected}")
        require(encoded.vectors.dtype == np.float32, f"vectors are {encoded.vectors.dtype}, not float32")
        require(len(encoded.cut) == len(TEXTS), f"{len(encoded.cut)} cuts for {len(TEXTS)} texts")
        require(bool(np.isfinite(encoded.vectors).all()), "vectors hold values that are not finite")


def check_unit_norm(subject: Subject) -> None:
    """Return vectors of L2 norm 1."""
    import numpy as np

    norms = np.linalg.norm(_vectors(subject, TEXTS), axis=1)
    require(
        bool(np.allclose(norms, 1, atol=_NEAR)), f"norms are between {norms.min():.4f} and {norms.max():.4f}"
    )


def check_distinct(subject: Subject) -> None:
    """Return different vectors for different texts."""
    import numpy as np

    cosines = _vectors(subject, TEXTS) @ _vectors(subject, TEXTS).T
    np.fill_diagonal(cosines, -1)
    require(float(cosines.max()) < 1 - _NEAR, "different texts have the same vector")


def check_batches(subject: Subject) -> None:
    """Return the same vector for a text in every batch: bit for bit if patina pools it."""
    import numpy as np

    together = _vectors(subject, TEXTS * 2 + ("one more",))[: len(TEXTS)]
    single = np.concatenate([_vectors(subject, [text]) for text in TEXTS])
    difference = float(np.abs(together - single).max())
    require(
        _is_same(subject, together, single),
        f"vectors depend on the batch (by up to {difference:.2g}): the mask is ignored, or the weights are"
        " quantised dynamically; for the latter declare batch_invariant=False",
    )


def check_order(subject: Subject) -> None:
    """Return vectors in the order of the texts, also of repeated ones."""
    import numpy as np

    reordered = (*reversed(TEXTS), TEXTS[0])
    vectors = _vectors(subject, TEXTS)
    expected = np.concatenate([vectors[::-1], vectors[:1]])
    require(
        _is_same(subject, _vectors(subject, reordered), expected), "vectors are not in the order of texts"
    )


def check_empty_batch(subject: Subject) -> None:
    """Return vectors [0, dimensions] for no texts."""
    encoded = subject.encoder.encode([], role="passage")
    expected = (0, subject.encoder.dimensions)
    require(encoded.vectors.shape == expected, f"vectors of no texts are {encoded.vectors.shape}")
    require(encoded.cut == (), f"cuts of no texts are {encoded.cut}")


def check_odd_texts(subject: Subject) -> None:
    """Encode empty texts, NUL, lone surrogates, control characters and a long word, or return zeros."""
    import numpy as np

    norms = np.linalg.norm(_vectors(subject, _ODD), axis=1)
    is_valid = np.isclose(norms, 1, atol=_NEAR) | (norms == 0)
    require(bool(is_valid.all()), f"odd texts have norms {norms[~is_valid].tolist()}")


def check_long_text(subject: Subject) -> None:
    """Cut texts at max_tokens and record it; what is beyond has no effect.

    Skipped for runtimes that return vectors of texts: only they know what they cut.
    """
    import numpy as np

    if subject.encoder.output == "text_vectors":
        return
    limit = subject.encoder.spec.max_tokens
    long = "commit " * (2 * limit)
    encoded = subject.encoder.encode([long, long + "and much more", "short"], role="passage")
    require(encoded.cut[0] > 0, f"a text of more than {limit} tokens is not recorded as cut")
    require(encoded.cut[1] > encoded.cut[0], "a longer text is not recorded as cut by more")
    require(encoded.cut[2] == 0, "a short text is recorded as cut")
    require(bool(np.array_equal(*encoded.vectors[:2])), "text beyond max_tokens changes the vector")
    tokens = len(subject.encoder.model.tokenize([long], limit)[0].ids)
    require(tokens == limit, f"a long text is cut to {tokens} tokens, not {limit}")


def check_prefixes(subject: Subject) -> None:
    """Apply the prefix of each role; without prefixes the roles are the same."""
    encoder = subject.encoder
    bare = _with(encoder, query_prefix="", passage_prefix="")
    plain = bare.encode(TEXTS, role="passage").vectors
    for role in _ROLES:
        prefix = prefix_of(encoder.spec, role)
        vectors = encoder.encode(TEXTS, role=role).vectors
        expected = bare.encode([prefix + text for text in TEXTS], role="passage").vectors
        require(
            _is_same(subject, vectors, expected),
            f"the {role} prefix {prefix!r} is not put before the text",
        )
        if prefix.strip():
            nearest = float((vectors * plain).sum(axis=1).max())
            require(nearest < 1 - _NEAR, f"the {role} prefix {prefix!r} has no effect on the vectors")


def check_pooling(subject: Subject) -> None:
    """Pool the token vectors of a text as the spec states, if the runtime returns them."""
    import numpy as np

    if subject.encoder.output == "text_vectors":
        return
    spec, model = subject.encoder.spec, subject.encoder.model
    for text, vector in zip(TEXTS, _vectors(subject, TEXTS), strict=True):
        ids = np.asarray(
            [model.tokenize([prefix_of(spec, "passage") + text], spec.max_tokens)[0].ids], dtype=np.int64
        )
        tokens = model.forward(ids, np.ones_like(ids))[0]
        full = {"mean": tokens.mean(axis=0), "cls": tokens[0], "last": tokens[-1]}[spec.pooling]
        (pooled,) = truncate_rows(full[np.newaxis], spec)
        cosine = float(vector @ pooled / np.linalg.norm(pooled))
        require(cosine > 1 - _NEAR, f"{text!r} is not pooled by {spec.pooling!r}: cosine {cosine:.4f}")


def check_determinism(subject: Subject) -> None:
    """Return the same vectors again, also from a reopened model: bit for bit if patina pools them."""
    first = _vectors(subject, TEXTS)
    require(_is_same(subject, first, _vectors(subject, TEXTS)), "a second run returns other vectors")
    reopened = subject.reopen()
    again = reopened.encode(TEXTS, role="passage").vectors
    require(_is_same(subject, first, again), "the reopened model returns other vectors")
    require(reopened.fingerprint == subject.encoder.fingerprint, "the reopened model has another fingerprint")


def check_light_import(subject: Subject) -> None:
    """Import the plugin's module in a fresh process without importing any of `HEAVY`."""
    check_module_is_light(subject.module)


def check_module_is_light(module: str) -> None:
    """Import a module in a fresh process.

    Raises:
        AssertionError: it imports any of `HEAVY`.
    """
    code = f"import sys, {module}; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    # Not in the current folder, which may be a clone: with -c Python imports from there first.
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(sys.executable).anchor, env=environment, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    require(result.returncode == 0, f"cannot import {module}:\n{result.stderr}")
    require(not result.stdout.strip(), f"{module} imports {result.stdout.strip()}: import it on first use")


CHECKS: Final[dict[str, Callable[[Subject], None]]] = {
    "shape": check_shape,
    "unit norm": check_unit_norm,
    "distinct": check_distinct,
    "batches": check_batches,
    "order": check_order,
    "empty batch": check_empty_batch,
    "odd texts": check_odd_texts,
    "long text": check_long_text,
    "prefixes": check_prefixes,
    "pooling": check_pooling,
    "determinism": check_determinism,
    "light import": check_light_import,
}
"""The checks of a model, by name."""


# --- running them -------------------------------------------------------------------------------


def contract(
    model: str, *, runtime: str = AUTO, plugins: Callable[[], Plugins] = Plugins.load
) -> pytest.MarkDecorator:
    """Make a test with the argument `check` run once for every check of `model`, opened once."""
    import pytest

    subject = lru_cache(maxsize=1)(lambda: open_subject(plugins(), model, runtime))
    checks = [Check(name, function, subject) for name, function in CHECKS.items()]
    return pytest.mark.parametrize("check", checks, ids=[check.name for check in checks])


def run_contract(
    plugins: Plugins, model: str, runtime: str = AUTO, *, reading: Reading | None = None
) -> list[CheckResult]:
    """Run every check of a model, in order.

    Args:
        plugins: the plugins that are installed.
        model: the name of the model.
        runtime: the name of the runtime.
        reading: how a recipe has texts read, if not as the model states.

    Returns:
        A result for each check; a single failed result "opens" if the model cannot be opened.
    """
    try:
        subject = open_subject(plugins, model, runtime, reading=reading)
    except Exception as error:
        hint = error.hint if isinstance(error, PatinaError) else ""
        return [CheckResult("opens", False, f"{type(error).__name__}: {error}", hint)]
    return [run_check(name, subject) for name in CHECKS]


def run_check(name: str, subject: Subject) -> CheckResult:
    """Run a check by name; an exception of the model is a failure."""
    try:
        CHECKS[name](subject)
    except AssertionError as error:
        return CheckResult(name, False, str(error))
    except Exception as error:
        return CheckResult(name, False, f"{type(error).__name__}: {error}")
    return CheckResult(name, True)


def open_subject(
    plugins: Plugins, model: str, runtime: str = AUTO, *, reading: Reading | None = None
) -> Subject:
    """Open a model for its checks; raises what `open_encoder` raises."""

    def reopen() -> Encoder:
        return open_encoder(plugins, model, runtime, reading=reading)

    return Subject(reopen(), reopen, plugins.module_of(MODELS, model))


def _vectors(subject: Subject, texts: Sequence[str]) -> Vectors:
    return subject.encoder.encode(texts, role="passage").vectors


def _is_same(subject: Subject, vectors: Vectors, expected: Vectors) -> bool:
    """Compare vectors bit for bit; roughly if the runtime pools them (see `RuntimeSpec.output`)."""
    import numpy as np

    if subject.encoder.output == "text_vectors":
        return bool(((vectors * expected).sum(axis=1) > _ALIKE).all())
    return bool(np.array_equal(vectors, expected))


def _with(encoder: Encoder, *, query_prefix: str, passage_prefix: str) -> Encoder:
    spec = replace(encoder.spec, query_prefix=query_prefix, passage_prefix=passage_prefix)
    return Encoder(spec, RuntimeChoice(encoder.runtime, encoder.reason), encoder.fingerprint, encoder.opened)


def require(holds: bool, failure: str) -> None:
    """Raise AssertionError with a text if a condition does not hold."""
    # Not an assert statement: the contract must also hold under `python -O`.
    if not holds:
        raise AssertionError(failure)
