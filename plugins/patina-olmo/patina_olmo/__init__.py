"""The model "olmo-3-7b" of Ai2 (https://huggingface.co/allenai/Olmo-3-1025-7B).

A language model, read at one of its hidden layers.
"""

from __future__ import annotations

from collections.abc import Iterator

from patina_hooks import ModelSpec, hookimpl, hub_runtimes

_COMMIT = "a81bae42db3975be1671e27b9c9a56da1a9f980f"
_WEIGHTS = [f"model-0000{number}-of-00003.safetensors" for number in (1, 2, 3)]


@hookimpl
def patina_register_models() -> Iterator[ModelSpec]:
    yield ModelSpec(
        "olmo-3-7b",
        dimensions=4096,
        runtimes=hub_runtimes("allenai/Olmo-3-1025-7B", weights=_WEIGHTS, revision=_COMMIT),
        # It can read 65536, with memory that grows with their square: more than most machines have.
        max_tokens=8192,
        pooling="mean",
        # Of 32: the last ones turn to the next token. A choice to be measured, not a measured one.
        layer=24,
        licence="Apache-2.0",
        description="OLMo 3 7B: a fully open language model; was not trained to embed",
        parameters=7_298_011_136,
        languages=("en",),
    )
