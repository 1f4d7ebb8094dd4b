"""The device and precision of computation, from the user's settings."""

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
class ComputeDevice:
    """An available device, the precision of weights, and the number of concurrent batches."""

    device: torch.device
    dtype: torch.dtype
    threads: int


def choose_compute_device() -> ComputeDevice:
    """Return the device of the table `[runtime.torch]`.

    Raises:
        SettingsError: a value is invalid.
        ModelError: the device is not available.
    """
    _keep_caches_private()
    # 1 s to import: only when something is computed.
    from patina_torch.library import torch

    settings = runtime_settings("torch", _Settings)
    device = _device(settings.device)
    threads = settings.threads or processors() if device.type == "cpu" else 1
    return ComputeDevice(device, getattr(torch, settings.dtype), threads)


def _keep_caches_private() -> None:
    """Set a folder of patina for the compiler's cache, which PyTorch makes when it is imported.

    Its own default is a folder in the system's temporary folder that others can prepare.
    """
    if "torch" not in sys.modules and "TORCHINDUCTOR_CACHE_DIR" not in os.environ:
        folder = cache_folder() / "torch"
        with suppress(OSError, StateError):  # not writable: PyTorch chooses a folder itself
            make_private(folder)
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder)


def variant(model: ModelSpec) -> str:
    """Return the precision of weights where it is not the default: `RuntimeSpec.variant`.

    The device is left out: all devices compute in that precision.

    Raises:
        SettingsError: a value is invalid.
    """
    dtype = runtime_settings("torch", _Settings).dtype
    return "" if dtype == _USUAL_DTYPE else dtype


def _device(name: str) -> torch.device:
    import torch

    available = ["cpu"]
    if torch.backends.mps.is_available():
        available.append("mps")
    if torch.cuda.is_available():
        available += ["cuda", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if kind in available))
    if name not in available:
        raise ModelError(
            f"the setting runtime.torch.device is {name!r}, but this PyTorch can use only"
            f" {', '.join(available)}",
            hint='set device = "auto" under [runtime.torch]',
        )
    return torch.device(name)
