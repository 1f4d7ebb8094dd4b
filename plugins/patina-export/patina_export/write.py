"""From a model's config and weights to an ONNX file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from patina_export.configuration import CheckpointConfig, read_configuration
from patina_export.graph import PRECISIONS, OnnxGraph, Precision
from patina_export.tensors import CheckpointTensors
from patina_hooks.authoring import ModelError

if TYPE_CHECKING:
    from onnx import ModelProto

EXTERNAL_ABOVE: Final = 2_000_000_000
"""Bytes of weights from which on they lie in a file next to it: a protobuf message ends at 2 GiB."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    model: the ONNX file; data: its weights if they are in a file next to it.
    layer: the hidden state that it gives, counted from 0, of `layers`.
    positions: the longest text in tokens, 0 where the graph knows no bound.
    parameters: numbers in the source's weights; bytes: of both files.
    """

    model: Path
    data: Path | None
    architecture: str
    precision: Precision
    layer: int
    layers: int
    width: int
    positions: int
    parameters: int
    bytes: int


def export_onnx(
    config: Path,
    weights: Sequence[Path],
    path: Path,
    precision: Precision = "fp32",
    layer: int = -1,
    *,
    external_above: int = EXTERNAL_ABOVE,
) -> Exported:
    """Write the model of `config` (config.json) and `weights` (safetensors, all shards) to `path`.

    The graph takes input_ids and attention_mask, for bert token_type_ids too, int64 [batch, sequence] padded
    on the right, and gives last_hidden_state, float32 [batch, sequence, width]: hidden state `layer`
    (`ModelSpec.layer`). Weights of more than `external_above` bytes are written to `<path>.data`.
    Nothing is left behind where it fails. Raises `ModelError` where config or weights are not of an
    architecture that is known.
    """
    if precision not in PRECISIONS:
        raise ModelError(f"precision {precision!r}: expected {' or '.join(PRECISIONS)}")
    configuration = read_configuration(config)
    state = _hidden_state(configuration, layer)
    data = path.with_name(f"{path.name}.data")
    with CheckpointTensors(weights) as tensors, _replacing(path, data) as (model_file, data_file):
        parameters = tensors.parameters()
        is_external = parameters * (4 if precision == "fp32" else 1) > external_above
        graph = OnnxGraph(precision, data_file if is_external else None, data.name)
        model_file.write(_built(graph, tensors, configuration, state, precision).SerializeToString())
    return Exported(
        model=path,
        data=data if is_external else None,
        architecture=configuration.model_type,
        precision=precision,
        layer=state,
        layers=configuration.layers,
        width=configuration.width,
        positions=configuration.positions,
        parameters=parameters,
        bytes=path.stat().st_size + (data.stat().st_size if is_external else 0),
    )


def _built(
    graph: OnnxGraph,
    tensors: CheckpointTensors,
    configuration: CheckpointConfig,
    state: int,
    precision: Precision,
) -> ModelProto:
    # Only here: it needs numpy.
    from patina_export.architectures import hidden_state, inputs, left_out

    value = hidden_state(graph, tensors, configuration, state)
    tensors.refuse_unread(*left_out(configuration, state))
    facts = {
        "patina.architecture": configuration.model_type,
        "patina.precision": precision,
        "patina.layer": str(state),
        "patina.layers": str(configuration.layers),
    }
    return graph.model(inputs(configuration), value, configuration.width, facts)


def _hidden_state(configuration: CheckpointConfig, layer: int) -> int:
    """`layer` counted from 0, the embeddings."""
    states = configuration.layers + 1
    if not -states <= layer < states:
        raise ModelError(
            f"layer is {layer}: the model has hidden states 0 to {states - 1}, or -1 to {-states}"
        )
    return layer % states


@contextmanager
def _replacing(*paths: Path) -> Iterator[tuple[BinaryIO, ...]]:
    """Files that take their names when all is written, the last first; an empty one is not kept."""
    temporary = [path.with_name(f".{path.name}.{os.getpid()}.tmp") for path in paths]
    paths[0].parent.mkdir(parents=True, exist_ok=True)
    try:
        files = tuple(path.open("xb") for path in temporary)
        try:
            yield files
        finally:
            for file in files:
                file.close()
        for draft, path in reversed(list(zip(temporary, paths, strict=True))):
            if draft.stat().st_size:
                draft.replace(path)
            else:
                path.unlink(missing_ok=True)
    finally:
        for draft in temporary:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
