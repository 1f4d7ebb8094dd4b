"""ONNX Runtime's execution providers, from the user's settings.

[runtime.onnx]
providers = ["cuda", "cpu"]     # the first that is available; default: ["cpu"]
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from patina_hooks.authoring import install_command, runtime_settings

if TYPE_CHECKING:
    from patina_hooks import ModelSpec

CPU: Final = "CPUExecutionProvider"
DIRECTML: Final = "DmlExecutionProvider"
_COREML: Final = "coreml"
_PROVIDERS: Final = {
    "cpu": CPU,
    _COREML: "CoreMLExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "directml": DIRECTML,
}
OPTIONS: Final = {"CUDAExecutionProvider": {"use_tf32": "0"}}
"""Float32 as everywhere: TF32, which CUDA would take, has three digits."""
_PACKAGES: Final = {"cuda": "onnxruntime-gpu", "directml": "onnxruntime-directml"}

# Under the core's name, so that the worker's log has it; a terminal has it on stderr.
_log = logging.getLogger("patina_hooks.runtime.onnx")


@dataclass(frozen=True, slots=True)
class _Settings:
    providers: tuple[Literal["cpu", "coreml", "cuda", "directml"], ...] = ("cpu",)


def chosen_providers(available: Collection[str]) -> list[str]:
    """Return ONNX Runtime's names of the requested providers that are `available`, the CPU last.

    The log names packages to install for absent ones.

    Raises:
        SettingsError: a name is not a provider.
    """
    names = requested_providers()
    absent = [name for name in names if _PROVIDERS[name] not in available]
    for name in absent:
        listed = ", ".join(key for key, provider in _PROVIDERS.items() if provider in available)
        package = f": {install_command(_PACKAGES[name])}" if name in _PACKAGES else ""
        _log.warning("the onnx runtime has no provider %s here, only %s%s", name, listed, package)
    return list(dict.fromkeys([*(_PROVIDERS[name] for name in names if name not in absent), CPU]))


def variant(model: ModelSpec) -> str:
    """ "coreml" where that computes, in half the digits as it may: `RuntimeSpec.variant`.

    It does where it is wanted on a Mac (every build for one has it), and not after the CPU, which takes all.
    Other providers compute as the CPU does. Raises `SettingsError`.
    """
    names, system = requested_providers(), str(sys.platform)
    first = names[: names.index("cpu")] if "cpu" in names else names
    return _COREML if system == "darwin" and _COREML in first else ""


def log_fallback(requested: Sequence[str], used: Sequence[str]) -> None:
    """Log the providers that a session does not use: one may be built in and lack its driver."""
    for name in (name for name, provider in _PROVIDERS.items() if provider in set(requested) - set(used)):
        _log.warning("the provider %s of the onnx runtime could not start: the cpu does its work", name)


def requested_providers() -> tuple[str, ...]:
    """Return the names in the table `[runtime.onnx]`, in the user's order."""
    return runtime_settings("onnx", _Settings).providers
