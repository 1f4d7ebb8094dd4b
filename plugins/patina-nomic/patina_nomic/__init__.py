"""The model "nomic-embed-text-v1.5" of Nomic AI (https://huggingface.co/nomic-ai/nomic-embed-text-v1.5)."""

from __future__ import annotations

from collections.abc import Iterator

from patina_hooks import ModelSpec, hookimpl, hub_runtimes


@hookimpl
def patina_register_models() -> Iterator[ModelSpec]:
    yield ModelSpec(
        "nomic-embed-text-v1.5",
        dimensions=768,
        runtimes=hub_runtimes("nomic-ai/nomic-embed-text-v1.5", onnx="onnx/model.onnx"),
        # Its positions were trained up to here; up to 8192 they have to be rescaled.
        max_tokens=2048,
        pooling="mean",
        query_prefix="search_query: ",
        passage_prefix="search_document: ",
        matryoshka=(512, 256, 128, 64),
        matryoshka_norm="layer",
        licence="Apache-2.0",
        description="Nomic Embed v1.5: long texts, vectors that may be cut off, English",
        parameters=136_731_648,
        languages=("en",),
    )
