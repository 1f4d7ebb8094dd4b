"""The precision of computation, from the user's settings.

[runtime.mlx]
dtype = "bfloat16"      # default: "float32", in which all runtimes agree
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from patina_hooks.authoring import runtime_settings

if TYPE_CHECKING:
    from patina_hooks import ModelSpec

_DEFAULT: Final = "float32"


@dataclass(frozen=True, slots=True)
class _Settings:
    dtype: Literal["float32", "bfloat16", "float16"] = _DEFAULT


def requested_dtype() -> str:
    """Return mlx's name of the type to compute in; packed weights stay packed."""
    return runtime_settings("mlx", _Settings).dtype


def variant(model: ModelSpec) -> str:
    """Return `requested_dtype` where it is not the default: `RuntimeSpec.variant`."""
    dtype = requested_dtype()
    return "" if dtype == _DEFAULT else dtype
