"""The models "qwen3-embedding-0.6b", "-4b" and "-8b" of the Qwen team (https://github.com/QwenLM/Qwen3-Embedding)."""

from __future__ import annotations

from collections.abc import Iterator

from patina_hooks import HubFile, ModelSpec, hookimpl, hub_runtimes


def _shard(number: int, files: int) -> str:
    return f"model-{number:05}-of-{files:05}.safetensors"


_HALF = "onnx/fp16"
_EXPORT = ("onnx-community/Qwen3-Embedding-0.6B-ONNX", "c25a394dd583836952667c12f008335071b3f43d")
# size -> dimensions, weights, files that they are in, commit
_SIZES = {
    "0.6B": (1024, 595_776_512, 1, "97b0c614be4d77ee51c0cef4e5f07c00f9eb65b3"),
    "4B": (2560, 4_021_774_336, 2, "5cf2132abc99cad020ac570b19d031efec650f2b"),
    "8B": (4096, 7_567_295_488, 4, "1d8ad4ca9b3dd8059ad90a75d4983776a23d44af"),
}
_TOKENIZER = ("def76fb086971c7867b829c23a26261e38d9d74e02139253b38aeb9df8b4b50a", 11_423_705)
_SHARDS = (4_900_037_024, 4_915_959_512, 4_983_067_656, 335_570_376)
# size -> path -> sha256, bytes
_KNOWN = {
    "0.6B": {
        "model.safetensors": (
            "0437e45c94563b09e13cb7a64478fc406947a93cb34a7e05870fc8dcd48e23fd",
            1_191_586_416,
        ),
        "tokenizer.json": _TOKENIZER,
    },
    "4B": {},
    "8B": {_shard(number, 4): ("", size) for number, size in enumerate(_SHARDS, 1)},
}


@hookimpl
def patina_register_models() -> Iterator[ModelSpec]:
    for size, (dimensions, parameters, files, commit) in _SIZES.items():
        runtimes = _runtimes(size, files, commit)
        yield ModelSpec(
            f"qwen3-embedding-{size.lower()}",
            dimensions=dimensions,
            runtimes=runtimes,
            unbatched_runtimes=tuple({_HALF} & set(runtimes)),
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


def _runtimes(size: str, files: int, commit: str) -> dict[str, dict[str, HubFile]]:
    shards = [_shard(number, files) for number in range(1, files + 1)]
    runtimes = hub_runtimes(
        f"Qwen/Qwen3-Embedding-{size}",
        weights=shards if files > 1 else ("model.safetensors",),
        revision=commit,
        known=_KNOWN[size],
    )
    packed = hub_runtimes(f"mlx-community/Qwen3-Embedding-{size}-4bit-DWQ")["mlx"]
    # The tokenizer is the authors': a copy might leave out the token that their model is pooled at.
    runtimes["mlx/4bit"] = {**packed, "tokenizer": runtimes["mlx"]["tokenizer"]}
    if size == "0.6B":
        runtimes["onnx"] = _onnx("model.onnx")
        runtimes[_HALF] = _onnx("model_fp16.onnx")
    return runtimes


def _onnx(name: str) -> dict[str, HubFile]:
    return {
        "model": HubFile(_EXPORT[0], f"onnx/{name}", _EXPORT[1]),
        "data": HubFile(_EXPORT[0], f"onnx/{name}_data", _EXPORT[1]),
        "tokenizer": HubFile(_EXPORT[0], "tokenizer.json", _EXPORT[1], *_TOKENIZER),
    }
