"""What computes: ONNX Runtime's execution providers, as the user's settings name them.

[runtime.onnx]
providers = ["cuda", "cpu"]     # the first that is here; the usual: ["cpu"]
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from typing import Final

from patina_hooks.errors import SettingsError
from patina_hooks.settings import runtime_settings

CPU: Final = "CPUExecutionProvider"
DIRECTML: Final = "DmlExecutionProvider"
_PROVIDERS: Final = {
    "cpu": CPU,
    "coreml": "CoreMLExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "directml": DIRECTML,
}
_USUAL: Final = ["cpu"]
_PACKAGES: Final = {"cuda": "onnxruntime-gpu", "directml": "onnxruntime-directml"}

# Under the core's name, so that the worker's log has it; a terminal has it on stderr.
_log = logging.getLogger("patina_hooks.runtime.onnx")


def chosen_providers(available: Collection[str]) -> list[str]:
    """ONNX Runtime's names of the providers that the user wants and that are `available`, the CPU last.

    Of those that are absent the log says what to install. Raises `SettingsError` for what is no provider.
    """
    names = wanted_providers()
    absent = [name for name in names if _PROVIDERS[name] not in available]
    for name in absent:
        there = ", ".join(known for known, provider in _PROVIDERS.items() if provider in available)
        package = f": pip install {_PACKAGES[name]}" if name in _PACKAGES else ""
        _log.warning("the onnx runtime has no provider %s here, only %s%s", name, there, package)
    return list(dict.fromkeys([*(_PROVIDERS[name] for name in names if name not in absent), CPU]))


def tell_of_fallback(wanted: Sequence[str], used: Sequence[str]) -> None:
    """Say which providers an opened session did without: one may be built in and lack its driver."""
    for name in (name for name, provider in _PROVIDERS.items() if provider in set(wanted) - set(used)):
        _log.warning("the provider %s of the onnx runtime could not start: the cpu does its work", name)


def wanted_providers() -> list[str]:
    """Names in the table `[runtime.onnx]`, in the user's order."""
    names = runtime_settings("onnx", {"providers": _USUAL})["providers"]
    for name in names:
        if name not in list(_PROVIDERS):  # it may be of any type, even one without a hash
            known = ", ".join(_PROVIDERS)
            raise SettingsError(f"runtime.onnx.providers has {name!r}: expected some of {known}")
    return names
