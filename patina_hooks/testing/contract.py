"""The contract of a model: plain functions, each raising AssertionError with what does not hold.

In the author's tests, one test a check:

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
"""What importing a plugin's module must not bring along."""

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
    """What is checked: an opened encoder, how to open it anew, and its plugin's module."""

    encoder: Encoder
    reopen: Callable[[], Encoder]
    module: str


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check of one model; `detail` says what does not hold, "" where it passed; `hint` what mends it."""

    name: str
    passed: bool
    detail: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """A check bound to a model: call it, and it raises where the model does not hold it."""

    name: str
    function: Callable[[Subject], None]
    subject: Callable[[], Subject]

    def __call__(self) -> None:
        self.function(self.subject())


# --- the checks ---------------------------------------------------------------------------------


def check_shape(subject: Subject) -> None:
    """[n, dimensions], float32, one `cut` a text, all finite."""
    import numpy as np

    for role in _ROLES:
        encoded = subject.encoder.encode(TEXTS, role=role)
        expected = (len(TEXTS), subject.encoder.dimensions)
        require(encoded.vectors.shape == expected, f"vectors are {encoded.vectors.shape}, not {expected}")
        require(encoded.vectors.dtype == np.float32, f"vectors are {encoded.vectors.dtype}, not float32")
        require(len(encoded.cut) == len(TEXTS), f"{len(encoded.cut)} cuts for {len(TEXTS)} texts")
        require(bool(np.isfinite(encoded.vectors).all()), "vectors hold values that are not finite")


def check_unit_norm(subject: Subject) -> None:
    """Every vector has the L2 norm 1."""
    import numpy as np

    norms = np.linalg.norm(_vectors(subject, TEXTS), axis=1)
    require(
        bool(np.allclose(norms, 1, atol=_NEAR)), f"norms lie between {norms.min():.4f} and {norms.max():.4f}"
    )


def check_distinct(subject: Subject) -> None:
    """Different texts have different vectors."""
    import numpy as np

    likeness = _vectors(subject, TEXTS) @ _vectors(subject, TEXTS).T
    np.fill_diagonal(likeness, -1)
    require(float(likeness.max()) < 1 - _NEAR, "different texts have the same vector")


def check_batches(subject: Subject) -> None:
    """A text's vector is the same alone and in any company: bit for bit, where it is pooled here."""
    import numpy as np

    together = _vectors(subject, TEXTS * 2 + ("one more",))[: len(TEXTS)]
    alone = np.concatenate([_vectors(subject, [text]) for text in TEXTS])
    off = float(np.abs(together - alone).max())
    require(
        _same(subject, together, alone),
        f"vectors depend on the batch (by up to {off:.2g}): the mask is not heeded, or the weights are"
        " quantised dynamically; for the latter declare batch_invariant=False",
    )


def check_order(subject: Subject) -> None:
    """Vectors come in the order of the texts, also of repeated ones."""
    import numpy as np

    turned = (*reversed(TEXTS), TEXTS[0])
    straight = _vectors(subject, TEXTS)
    expected = np.concatenate([straight[::-1], straight[:1]])
    require(_same(subject, _vectors(subject, turned), expected), "vectors are not in the order of the texts")


def check_empty_batch(subject: Subject) -> None:
    """No texts give vectors [0, dimensions]."""
    encoded = subject.encoder.encode([], role="passage")
    expected = (0, subject.encoder.dimensions)
    require(encoded.vectors.shape == expected, f"no texts gave {encoded.vectors.shape}, not {expected}")
    require(encoded.cut == (), f"no texts gave the cuts {encoded.cut}")


def check_odd_texts(subject: Subject) -> None:
    """Empty texts, NUL, lone surrogates, control characters and a long word are encoded, or are zero."""
    import numpy as np

    norms = np.linalg.norm(_vectors(subject, _ODD), axis=1)
    fine = np.isclose(norms, 1, atol=_NEAR) | (norms == 0)
    require(bool(fine.all()), f"odd texts have norms {norms[~fine].tolist()}")


def check_long_text(subject: Subject) -> None:
    """What is longer than max_tokens is cut there and recorded; what lies beyond changes nothing.

    What a runtime cuts that gives whole vectors, it alone knows.
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
    require(bool(np.array_equal(*encoded.vectors[:2])), "what lies beyond max_tokens changes the vector")
    kept = len(subject.encoder.model.tokenize([long], limit)[0].ids)
    require(kept == limit, f"a long text is cut to {kept} tokens, not {limit}")


def check_prefixes(subject: Subject) -> None:
    """Each role's prefix reaches the vectors; without prefixes the roles are one."""
    encoder = subject.encoder
    bare = _with(encoder, query_prefix="", passage_prefix="")
    plain = bare.encode(TEXTS, role="passage").vectors
    for role in _ROLES:
        prefix = prefix_of(encoder.spec, role)
        found = encoder.encode(TEXTS, role=role).vectors
        wanted = bare.encode([prefix + text for text in TEXTS], role="passage").vectors
        require(
            _same(subject, found, wanted),
            f"the {role} prefix {prefix!r} does not stand before the text",
        )
        if prefix.strip():
            nearest = float((found * plain).sum(axis=1).max())
            require(nearest < 1 - _NEAR, f"the {role} prefix {prefix!r} does not reach the vectors")


def check_pooling(subject: Subject) -> None:
    """A vector is what the spec's pooling makes of the text's own token vectors, where those are given."""
    import numpy as np

    if subject.encoder.output == "text_vectors":
        return
    spec, model = subject.encoder.spec, subject.encoder.model
    for text, found in zip(TEXTS, _vectors(subject, TEXTS), strict=True):
        ids = np.asarray(
            [model.tokenize([prefix_of(spec, "passage") + text], spec.max_tokens)[0].ids], dtype=np.int64
        )
        tokens = model.forward(ids, np.ones_like(ids))[0]
        whole = {"mean": tokens.mean(axis=0), "cls": tokens[0], "last": tokens[-1]}[spec.pooling]
        (pooled,) = truncate_rows(whole[np.newaxis], spec)
        likeness = float(found @ pooled / np.linalg.norm(pooled))
        require(likeness > 1 - _NEAR, f"{text!r} is not pooled by {spec.pooling!r}: cosine {likeness:.4f}")


def check_determinism(subject: Subject) -> None:
    """The same texts give the same vectors again, also from a model opened anew: bit for bit, where they are
    pooled here."""
    first = _vectors(subject, TEXTS)
    require(_same(subject, first, _vectors(subject, TEXTS)), "a second run gives other vectors")
    anew = subject.reopen()
    again = anew.encode(TEXTS, role="passage").vectors
    require(_same(subject, first, again), "the model opened anew gives other vectors")
    require(anew.fingerprint == subject.encoder.fingerprint, "the model opened anew has another fingerprint")


def check_light_import(subject: Subject) -> None:
    """Importing the plugin's module in a fresh process brings none of `HEAVY` along."""
    check_module_is_light(subject.module)


def check_module_is_light(module: str) -> None:
    """Import a module in a fresh process. Raises AssertionError where it brings any of `HEAVY` along."""
    code = f"import sys, {module}; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    # Not in the current folder, which may be a clone: with -c Python imports from there first.
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(sys.executable).anchor, env=environment, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    require(done.returncode == 0, f"{module} cannot be imported:\n{done.stderr}")
    require(not done.stdout.strip(), f"{module} imports {done.stdout.strip()}: open it on first use")


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
    """Every check of `model`, in order; one failed result "opens" where it cannot be opened.

    reading: how a recipe has it read, where that is not its own way.
    """
    try:
        subject = open_subject(plugins, model, runtime, reading=reading)
    except Exception as error:
        hint = error.hint if isinstance(error, PatinaError) else ""
        return [CheckResult("opens", False, f"{type(error).__name__}: {error}", hint)]
    return [run_check(name, subject) for name in CHECKS]


def run_check(name: str, subject: Subject) -> CheckResult:
    """One check by name; an exception of the model is a failure like any other."""
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
    """Open `model` for its checks; raises what `open_encoder` raises."""

    def open_it() -> Encoder:
        return open_encoder(plugins, model, runtime, reading=reading)

    return Subject(open_it(), open_it, plugins.module_of(MODELS, model))


def _vectors(subject: Subject, texts: Sequence[str]) -> Vectors:
    return subject.encoder.encode(texts, role="passage").vectors


def _same(subject: Subject, found: Vectors, wanted: Vectors) -> bool:
    """Bit for bit; nearly, where they come from elsewhere (see `RuntimeSpec.gives`)."""
    import numpy as np

    if subject.encoder.output == "text_vectors":
        return bool(((found * wanted).sum(axis=1) > _ALIKE).all())
    return bool(np.array_equal(found, wanted))


def _with(encoder: Encoder, *, query_prefix: str, passage_prefix: str) -> Encoder:
    spec = replace(encoder.spec, query_prefix=query_prefix, passage_prefix=passage_prefix)
    return Encoder(spec, RuntimeChoice(encoder.runtime, encoder.reason), encoder.fingerprint, encoder.opened)


def require(holds: bool, otherwise: str) -> None:
    # Not an assert statement: the contract must also hold under `python -O`.
    if not holds:
        raise AssertionError(otherwise)
