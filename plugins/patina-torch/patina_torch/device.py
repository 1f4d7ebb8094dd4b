"""Where and how precisely to compute, as the user's settings say."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, Literal

from patina_hooks.authoring import (
    ModelError,
    Rule,
    StateError,
    cache_folder,
    make_private,
    processors,
    runtime_settings,
)

if TYPE_CHECKING:
    import torch

    from patina_hooks import ModelSpec

_USUAL_DTYPE: Final = "float32"


@dataclass(frozen=True, slots=True)
class _Settings:
    device: Annotated[
        str, Rule("auto, cpu, cuda, cuda:1 or mps", pattern=r"auto|cpu|mps|cuda(:[0-9]{1,3})?")
    ] = "auto"
    dtype: Literal["float32", "bfloat16", "float16"] = _USUAL_DTYPE
    threads: Annotated[int, Rule("0 (choose) or more", least=0)] = 0


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

    settings = runtime_settings("torch", _Settings)
    device = _device(settings.device)
    threads = settings.threads or processors() if device.type == "cpu" else 1
    return Place(device, getattr(torch, settings.dtype), threads)


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
    dtype = runtime_settings("torch", _Settings).dtype
    return "" if dtype == _USUAL_DTYPE else dtype


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
