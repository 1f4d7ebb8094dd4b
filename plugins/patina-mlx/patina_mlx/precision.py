"""How precisely to compute, as the user's settings say.

[runtime.mlx]
dtype = "bfloat16"      # the usual: "float32", in which every runtime gives the same vectors
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from patina_hooks.authoring import runtime_settings

if TYPE_CHECKING:
    from patina_hooks import ModelSpec

_USUAL: Final = "float32"


@dataclass(frozen=True, slots=True)
class _Settings:
    dtype: Literal["float32", "bfloat16", "float16"] = _USUAL


def wanted_dtype() -> str:
    """mlx's name of what is computed in; packed weights stay packed. Raises `SettingsError`."""
    return runtime_settings("mlx", _Settings).dtype


def variant(model: ModelSpec) -> str:
    """`wanted_dtype` where it is not the usual one: `RuntimeSpec.variant`."""
    dtype = wanted_dtype()
    return "" if dtype == _USUAL else dtype
