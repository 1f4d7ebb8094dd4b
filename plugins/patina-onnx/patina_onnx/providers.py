"""What computes: ONNX Runtime's execution providers, as the user's settings name them.

[runtime.onnx]
providers = ["cuda", "cpu"]     # the first that is here; the usual: ["cpu"]
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
    """ONNX Runtime's names of the providers that the user wants and that are `available`, the CPU last.

    Of those that are absent the log says what to install. Raises `SettingsError` for what is no provider.
    """
    names = wanted_providers()
    absent = [name for name in names if _PROVIDERS[name] not in available]
    for name in absent:
        there = ", ".join(known for known, provider in _PROVIDERS.items() if provider in available)
        package = f": {install_command(_PACKAGES[name])}" if name in _PACKAGES else ""
        _log.warning("the onnx runtime has no provider %s here, only %s%s", name, there, package)
    return list(dict.fromkeys([*(_PROVIDERS[name] for name in names if name not in absent), CPU]))


def variant(model: ModelSpec) -> str:
    """ "coreml" where that computes, in half the digits as it may: `RuntimeSpec.variant`.

    It does where it is wanted on a Mac (every build for one has it), and not after the CPU, which takes all.
    Other providers compute as the CPU does. Raises `SettingsError`.
    """
    names, system = wanted_providers(), str(sys.platform)
    first = names[: names.index("cpu")] if "cpu" in names else names
    return _COREML if system == "darwin" and _COREML in first else ""


def tell_of_fallback(wanted: Sequence[str], used: Sequence[str]) -> None:
    """Say which providers an opened session did without: one may be built in and lack its driver."""
    for name in (name for name, provider in _PROVIDERS.items() if provider in set(wanted) - set(used)):
        _log.warning("the provider %s of the onnx runtime could not start: the cpu does its work", name)


def wanted_providers() -> tuple[str, ...]:
    """Return the names in the table `[runtime.onnx]`, in the user's order."""
    return runtime_settings("onnx", _Settings).providers
