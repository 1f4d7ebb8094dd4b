"""Twins exported to ONNX, opened, and held against golden vectors."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from golden import golden
from patina_export.graph import Precision
from patina_export.write import export_onnx
from patina_onnx.runtime import open_model
from safetensors.numpy import load_file, save_file
from support.tiny_models import TEXTS, Architecture, Twin, make_twin

from patina_hooks.models.choice import RuntimeChoice
from patina_hooks.models.encoding import Encoder
from patina_hooks.models.similarity import row_cosines
from patina_hooks.specs.models import Pooling, TokenModel

if TYPE_CHECKING:
    from patina_hooks.specs.models import ModelSpec
    from patina_hooks.specs.vectors import Vectors

LEAST: Final = {"fp32": 0.9999, "int8": 0.99}
"""The least cosine to the source that an export may have."""

Change = Callable[[dict[str, Any]], dict[str, Any]]


def export(twin: Twin, folder: Path, precision: Precision = "fp32", layer: int = -1, **more: int) -> Path:
    """The twin as an ONNX file."""
    path = folder / f"{twin.architecture}-{precision}-{layer}.onnx"
    return export_onnx(twin.config, [twin.weights], path, precision, layer, **more).model


def opened(twin: Twin, model: Path, **changes: Any) -> Encoder:  # noqa: ANN401
    """An exported file as a model; changes: of its spec."""
    files = {"model": model, "tokenizer": twin.tokenizer}
    beside = model.with_name(f"{model.name}.data")
    spec = replace(twin.spec("onnx"), **changes)
    return encoder(spec, open_model(spec, {**files, "data": beside} if beside.exists() else files))


def encoder(spec: ModelSpec, model: TokenModel) -> Encoder:
    return Encoder(spec, RuntimeChoice("onnx", "asked for"), "f" * 32, model)


def likeness(model: Encoder, wanted: Vectors) -> float:
    """The least cosine of the vectors of `TEXTS` to those wanted."""
    return float(row_cosines(model.encode(TEXTS, role="passage").vectors, wanted).min())


def expected(architecture: Architecture, pooling: Pooling, layer: int = -1) -> Vectors:
    """What transformers gives for `TEXTS`, as unit vectors."""
    states = _golden(architecture)[pooling][layer][: len(TEXTS)]
    norms = np.linalg.norm(states, axis=1, keepdims=True)
    unit: Vectors = (states / np.where(norms == 0, 1, norms)).astype(np.float32)
    return unit


@cache
def _golden(architecture: Architecture) -> dict[str, Vectors]:
    with TemporaryDirectory() as folder:
        return golden(make_twin(architecture, Path(folder)))


def twin_with(
    architecture: Architecture, folder: Path, change: Change = dict, keys: Mapping[str, object] | None = None
) -> Twin:
    """A twin with other words in its config, and its tensors changed."""
    twin = make_twin(architecture, folder)
    twin.config.write_text(json.dumps({**json.loads(twin.config.read_text()), **(keys or {})}))
    tensors = change(load_file(twin.weights))
    save_file(tensors, twin.weights)
    return twin
