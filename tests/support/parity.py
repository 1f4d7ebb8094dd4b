"""Twins encoded by a runtime, and how like their vectors are to the golden ones (`golden.py`)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from golden import PREFIX
from support.tiny_models import TEXTS, Twin

from patina_hooks.models.choice import RuntimeChoice
from patina_hooks.models.encoding import Encoder
from patina_hooks.specs.models import ModelSpec, TokenModel

if TYPE_CHECKING:
    from patina_hooks.specs.vectors import Vectors


def spec_of(twin: Twin, runtime: str, **changes: Any) -> ModelSpec:  # noqa: ANN401
    """The twin's spec with the golden prefix for questions, and what `ModelSpec` names otherwise."""
    return replace(twin.spec(runtime), query_prefix=PREFIX, **changes)


def encoder_of(spec: ModelSpec, model: TokenModel) -> Encoder:
    """A model that a runtime opened, without looking for its files."""
    return Encoder(spec, RuntimeChoice("", "opened by a test"), "", model)


def vectors_of(encoder: Encoder) -> Vectors:
    """In the order of the golden ones: the texts, then the same as questions."""
    return np.concatenate([encoder.encode(TEXTS, role=role).vectors for role in ("passage", "query")])


def likeness(vectors: Vectors, expected: Vectors) -> float:
    """The least cosine of unit vectors with expected ones; a row of zeros is like one of zeros alone."""
    norms = np.linalg.norm(expected, axis=1)
    alike = (vectors * expected).sum(axis=1) / np.where(norms == 0, 1, norms)
    return float(np.where((norms == 0) & ~vectors.any(axis=1), 1, alike).min())
