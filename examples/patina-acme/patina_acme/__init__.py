"""The model "acme-64", as a third party would publish it."""

from collections.abc import Iterator

from patina_hooks import ModelSpec, PackageFile, hookimpl


@hookimpl
def patina_register_models() -> Iterator[ModelSpec]:
    model = PackageFile("patina-acme", "patina_acme/model.onnx")
    tokenizer = PackageFile("patina-acme", "patina_acme/tokenizer.json")
    files = {"onnx": {"model": model, "tokenizer": tokenizer}}
    yield ModelSpec("acme-64", dimensions=64, runtimes=files, max_tokens=128, query_prefix="query: ")
