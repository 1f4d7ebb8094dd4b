"""How precisely to compute, as the user's settings say.

[runtime.mlx]
dtype = "bfloat16"      # the usual: "float32", in which every runtime gives the same vectors
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from patina_hooks.authoring import SettingsError, runtime_settings

if TYPE_CHECKING:
    from patina_hooks import ModelSpec

_USUAL: Final = "float32"
_DTYPES: Final = (_USUAL, "bfloat16", "float16")


def wanted_dtype() -> str:
    """mlx's name of what is computed in; packed weights stay packed. Raises `SettingsError`."""
    dtype = runtime_settings("mlx", {"dtype": _USUAL})["dtype"]
    if dtype not in _DTYPES:
        raise SettingsError(f"runtime.mlx.dtype is {dtype!r}: expected one of {', '.join(_DTYPES)}")
    return dtype


def variant(model: ModelSpec) -> str:
    """`wanted_dtype` where it is not the usual one: `RuntimeSpec.variant`."""
    dtype = wanted_dtype()
    return "" if dtype == _USUAL else dtype
