"""The runtime "mlx", and projections trained with MLX."""

from __future__ import annotations

from collections.abc import Iterator

from patina_hooks import ProjectionSpec, RuntimeSpec, hookimpl


@hookimpl
def patina_register_runtimes() -> Iterator[RuntimeSpec]:
    yield RuntimeSpec(
        "mlx",
        factory="patina_mlx.runtime:open_model",
        modules=("mlx", "tokenizers"),
        concurrent=True,
        variant="patina_mlx.precision:variant",
    )


@hookimpl
def patina_register_projections() -> Iterator[ProjectionSpec]:
    yield ProjectionSpec("mlx-mlp", 1, "patina_mlx.training:train_mlp", hidden=1024)
    yield ProjectionSpec("mlx-residual", 1, "patina_mlx.training:train_residual")
