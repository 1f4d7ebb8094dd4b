"""The model "e5-base-v2" of intfloat (https://huggingface.co/intfloat/e5-base-v2)."""

from __future__ import annotations

from collections.abc import Iterator

from patina_hooks import ModelSpec, hookimpl, hub_runtimes


@hookimpl
def patina_register_models() -> Iterator[ModelSpec]:
    yield ModelSpec(
        "e5-base-v2",
        dimensions=768,
        runtimes=hub_runtimes(
            "intfloat/e5-base-v2",
            onnx="onnx/model.onnx",
            precisions={"int8": "onnx/model_qint8_avx512_vnni.onnx"},
            revision="f52bf8ec8c7124536f0efb74aca902b2995e5bcd",
        ),
        unbatched_runtimes=("onnx/int8",),
        max_tokens=512,
        pooling="mean",
        query_prefix="query: ",
        passage_prefix="passage: ",
        licence="MIT",
        description="E5 base v2: asymmetric retrieval, English",
        parameters=109_482_240,
        languages=("en",),
    )
