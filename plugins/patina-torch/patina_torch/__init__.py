"""The runtime "torch": safetensors run by PyTorch; and trainers of projections with its gradients."""

from __future__ import annotations

from collections.abc import Iterator

from patina_hooks import ProjectionSpec, RuntimeSpec, hookimpl


@hookimpl
def patina_register_runtimes() -> Iterator[RuntimeSpec]:
    # In the order of their import: the first sets what PyTorch reads.
    modules = ("patina_torch.library", "torch", "transformers", "safetensors", "tokenizers")
    yield RuntimeSpec(
        "torch",
        factory="patina_torch.runtime:open_model",
        modules=modules,
        concurrent=True,
        variant="patina_torch.device:variant",
    )


@hookimpl
def patina_register_projections() -> Iterator[ProjectionSpec]:
    yield ProjectionSpec("torch-mlp", 1, "patina_torch.training:train_mlp", hidden=1024)
    yield ProjectionSpec("torch-residual", 1, "patina_torch.training:train_residual")
