"""The model "nomic-embed-text-v1.5" of Nomic AI (https://huggingface.co/nomic-ai/nomic-embed-text-v1.5)."""

from __future__ import annotations

from collections.abc import Iterator

from patina_hooks import ModelSpec, hookimpl, hub_runtimes

_INT8 = "onnx/model_quantized.onnx"
# path -> sha256, bytes
_KNOWN = {
    "onnx/model.onnx": ("147d5aa88c2101237358e17796cf3a227cead1ec304ec34b465bb08e9d952965", 547_310_275),
    _INT8: ("b4342336debaea79de872370664b0aaeb67dea4605513d00ee236ea871a81f27", 137_296_292),
    "tokenizer.json": ("d241a60d5e8f04cc1b2b3e9ef7a4921b27bf526d9f6050ab90f9267a1f9e5c66", 711_396),
}


@hookimpl
def patina_register_models() -> Iterator[ModelSpec]:
    yield ModelSpec(
        "nomic-embed-text-v1.5",
        dimensions=768,
        runtimes=hub_runtimes(
            "nomic-ai/nomic-embed-text-v1.5",
            onnx="onnx/model.onnx",
            precisions={"fp16": "onnx/model_fp16.onnx", "int8": _INT8},
            revision="e9b6763023c676ca8431644204f50c2b100d9aab",
            known=_KNOWN,
        ),
        unbatched_runtimes=("onnx/fp16", "onnx/int8"),
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
