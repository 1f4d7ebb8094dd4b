"""The runtime "onnx": ONNX files run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterator

from patina_hooks import RuntimeSpec, hookimpl


@hookimpl
def patina_register_runtimes() -> Iterator[RuntimeSpec]:
    modules = ("onnxruntime", "tokenizers")
    yield RuntimeSpec(
        "onnx",
        factory="patina_onnx.runtime:open_model",
        modules=modules,
        concurrent=True,
        variant="patina_onnx.providers:variant",
    )
