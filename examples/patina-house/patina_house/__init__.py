"""The model "house-64", whose files lie in ~/house-models and never leave this machine."""

from collections.abc import Iterator
from pathlib import Path

from patina_hooks import LocalFile, ModelSpec, hookimpl

WEIGHTS = "7ef2cb6203450f281d93bddda30a67a0eff468169af0220f37bfec7e58c8f859"


@hookimpl
def patina_register_models() -> Iterator[ModelSpec]:
    folder = Path.home() / "house-models"
    model = LocalFile(folder / "model.onnx", sha256=WEIGHTS)
    files = {"onnx": {"model": model, "tokenizer": LocalFile(folder / "tokenizer.json")}}
    yield ModelSpec("house-64", dimensions=64, runtimes=files, max_tokens=128, query_prefix="query: ")
