"""The runtime "static", which looks vectors up in a table, and a small model for it: "static-64"."""

from collections.abc import Iterator

from patina_hooks import ModelSpec, PackageFile, RuntimeSpec, hookimpl


@hookimpl
def patina_register_runtimes() -> Iterator[RuntimeSpec]:
    modules = ("safetensors", "tokenizers")
    yield RuntimeSpec("static", factory="patina_static.runtime:open_model", modules=modules, concurrent=True)


@hookimpl
def patina_register_models() -> Iterator[ModelSpec]:
    vectors = PackageFile("patina-static", "patina_static/vectors.safetensors")
    tokenizer = PackageFile("patina-static", "patina_static/tokenizer.json")
    files = {"static": {"vectors": vectors, "tokenizer": tokenizer}}
    yield ModelSpec("static-64", dimensions=64, runtimes=files, max_tokens=512, licence="Apache-2.0")
