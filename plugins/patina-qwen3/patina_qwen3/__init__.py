"""The models "qwen3-embedding-0.6b", "-4b" and "-8b" of the Qwen team (https://github.com/QwenLM/Qwen3-Embedding)."""

from __future__ import annotations

from collections.abc import Iterator

from patina_hooks import HubFile, ModelSpec, hookimpl, hub_runtimes

_EXPORT = "onnx-community/Qwen3-Embedding-0.6B-ONNX"
# size -> dimensions, weights, files that they are in
_SIZES = {"0.6B": (1024, 595_776_512, 1), "4B": (2560, 4_021_774_336, 2), "8B": (4096, 7_567_295_488, 4)}


@hookimpl
def patina_register_models() -> Iterator[ModelSpec]:
    for size, (dimensions, parameters, files) in _SIZES.items():
        yield ModelSpec(
            f"qwen3-embedding-{size.lower()}",
            dimensions=dimensions,
            runtimes=_runtimes(size, files),
            # It can read 32768, with memory that grows with their square: more than most machines have.
            max_tokens=8192,
            pooling="last",  # that of <|endoftext|>, with which its tokenizer ends every text
            query_prefix="Instruct: {task}\nQuery:",
            task="Given a web search query, retrieve relevant passages that answer the query",
            matryoshka=range(32, dimensions),
            licence="Apache-2.0",
            description=f"Qwen3 Embedding {size}: code and over 100 languages, told its task",
            parameters=parameters,
            languages=("mul",),
        )


def _runtimes(size: str, files: int) -> dict[str, dict[str, HubFile]]:
    weights = [f"model-{number:05}-of-{files:05}.safetensors" for number in range(1, files + 1)]
    runtimes = hub_runtimes(
        f"Qwen/Qwen3-Embedding-{size}", weights=weights if files > 1 else ("model.safetensors",)
    )
    if size == "0.6B":
        runtimes["onnx"] = {
            "model": HubFile(_EXPORT, "onnx/model.onnx"),
            "data": HubFile(_EXPORT, "onnx/model.onnx_data"),
            "tokenizer": HubFile(_EXPORT, "tokenizer.json"),
        }
    return runtimes
