"""Where and how precisely to compute, as the user's settings say."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from patina_hooks.authoring import (
    ModelError,
    SettingsError,
    StateError,
    cache_folder,
    make_private,
    processors,
    runtime_settings,
)

if TYPE_CHECKING:
    import torch

    from patina_hooks import ModelSpec

_USUAL: Final[dict[str, str | int]] = {"device": "auto", "dtype": "float32", "threads": 0}
_DTYPES: Final = ("float32", "bfloat16", "float16")
_DEVICE: Final = re.compile(r"auto|cpu|mps|cuda(:\d{1,3})?")


@dataclass(frozen=True, slots=True)
class Place:
    """A device that is there, the precision of weights, and how many runs go on at a time."""

    device: torch.device
    dtype: torch.dtype
    threads: int


def chosen_place() -> Place:
    """As the table `[runtime.torch]` says.

    Raises `SettingsError` for a value that means nothing, `ModelError` for a device that is not there.
    """
    _keep_caches_private()
    # 1 s to import: only when something is computed.
    from patina_torch.library import torch

    said = runtime_settings("torch", _USUAL)
    device, dtype, threads = str(said["device"]), _dtype(said), int(said["threads"])
    if not _DEVICE.fullmatch(device):
        raise SettingsError(f"runtime.torch.device is {device!r}: expected auto, cpu, cuda, cuda:1 or mps")
    if threads < 0:
        raise SettingsError(f"runtime.torch.threads is {threads}: expected 0 (choose) or more")
    there = _device(device)
    return Place(there, getattr(torch, dtype), threads or processors() if there.type == "cpu" else 1)


def _keep_caches_private() -> None:
    """Name a folder of patina for the compiler's cache, which PyTorch makes when it is imported.

    Its own default is a folder in the system's temporary folder that others can prepare.
    """
    if "torch" not in sys.modules and "TORCHINDUCTOR_CACHE_DIR" not in os.environ:
        folder = cache_folder() / "torch"
        with suppress(OSError, StateError):  # nothing can be written there: PyTorch finds a place itself
            make_private(folder)
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder)


def variant(model: ModelSpec) -> str:
    """The precision of weights, where it is not the usual one: `RuntimeSpec.variant`.

    Raises `SettingsError`. A device is not in it: all of them compute in that precision.
    """
    dtype = _dtype(runtime_settings("torch", _USUAL))
    return "" if dtype == _USUAL["dtype"] else dtype


def _dtype(said: Mapping[str, str | int]) -> str:
    dtype = str(said["dtype"])
    if dtype not in _DTYPES:
        raise SettingsError(f"runtime.torch.dtype is {dtype!r}: expected one of {', '.join(_DTYPES)}")
    return dtype


def _device(name: str) -> torch.device:
    import torch

    there = ["cpu"]
    if torch.backends.mps.is_available():
        there.append("mps")
    if torch.cuda.is_available():
        there += ["cuda", *(f"cuda:{place}" for place in range(torch.cuda.device_count()))]
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if kind in there))
    if name not in there:
        raise ModelError(
            f"the setting runtime.torch.device is {name!r}, but this PyTorch can use only {', '.join(there)}",
            hint='set device = "auto" under [runtime.torch]',
        )
    return torch.device(name)
