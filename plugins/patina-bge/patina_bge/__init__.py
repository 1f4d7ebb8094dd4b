"""The models "bge-small-en-v1.5" and "bge-base-en-v1.5" of BAAI (https://huggingface.co/BAAI)."""

from __future__ import annotations

from collections.abc import Iterator

from patina_hooks import ModelSpec, hookimpl, hub_runtimes

# size -> dimensions, weights, commit
_SIZES = {
    "small": (384, 33_360_000, "5c38ec7c405ec4b44b94cc5a9bb96e735b38267a"),
    "base": (768, 109_482_240, "a5beb1e3e68b9ab74eb54cfd186867f64f240e1a"),
}
# size -> path -> sha256, bytes
_KNOWN = {
    "small": {
        "onnx/model.onnx": ("828e1496d7fabb79cfa4dcd84fa38625c0d3d21da474a00f08db0f559940cf35", 133_093_490),
        "tokenizer.json": ("d241a60d5e8f04cc1b2b3e9ef7a4921b27bf526d9f6050ab90f9267a1f9e5c66", 711_396),
    },
    "base": {"onnx/model.onnx": ("", 435_811_539)},
}


@hookimpl
def patina_register_models() -> Iterator[ModelSpec]:
    for size, (dimensions, parameters, commit) in _SIZES.items():
        yield ModelSpec(
            f"bge-{size}-en-v1.5",
            dimensions=dimensions,
            runtimes=hub_runtimes(
                f"BAAI/bge-{size}-en-v1.5", onnx="onnx/model.onnx", revision=commit, known=_KNOWN[size]
            ),
            max_tokens=512,
            pooling="cls",
            query_prefix="Represent this sentence for searching relevant passages: ",
            licence="MIT",
            description=f"BGE {size} v1.5: retrieval, English",
            parameters=parameters,
            languages=("en",),
        )
