"""The models "bge-small-en-v1.5" and "bge-base-en-v1.5" of BAAI (https://huggingface.co/BAAI)."""

from __future__ import annotations

from collections.abc import Iterator

from patina_hooks import ModelSpec, hookimpl, hub_runtimes

# size -> dimensions, weights
_SIZES = {"small": (384, 33_360_000), "base": (768, 109_482_240)}


@hookimpl
def patina_register_models() -> Iterator[ModelSpec]:
    for size, (dimensions, parameters) in _SIZES.items():
        yield ModelSpec(
            f"bge-{size}-en-v1.5",
            dimensions=dimensions,
            runtimes=hub_runtimes(f"BAAI/bge-{size}-en-v1.5", onnx="onnx/model.onnx"),
            max_tokens=512,
            pooling="cls",
            query_prefix="Represent this sentence for searching relevant passages: ",
            licence="MIT",
            description=f"BGE {size} v1.5: retrieval, English",
            parameters=parameters,
            languages=("en",),
        )
