"""Which runtime runs a model here."""

from __future__ import annotations

import sys
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from patina_hooks.errors import ModelError
from patina_hooks.types import ModelSpec, RuntimeSpec

if TYPE_CHECKING:
    from patina_hooks.plugins import Plugins

AUTO: Final = "auto"
APPLE_SILICON: Final = "darwin-arm64"


@dataclass(frozen=True, slots=True)
class RuntimeChoice:
    """The runtime, and why it and no other."""

    runtime: str
    reason: str


def choose_runtime(spec: ModelSpec, installed: Collection[str], platform: str) -> RuntimeChoice:
    """What "auto" means: mlx on Apple silicon, else onnx, else torch, else the first other by name.

    installed: names of runtimes that can run here; platform: as `this_platform` writes it.
    Raises `ModelError` where no runtime that the model lists can run.
    """
    first = (*(("mlx",) if platform == APPLE_SILICON else ()), "onnx", "torch")
    ranked = [name for name in first if name in spec.runtimes]
    ranked += sorted(set(spec.runtimes) - set(ranked))
    for name in ranked:
        if name in installed:
            return RuntimeChoice(name, f"the first of {', '.join(ranked)} that can run here ({platform})")
    listed = ", ".join(sorted(spec.runtimes)) or "none"
    usable = ", ".join(sorted(installed)) or "none"
    raise ModelError(
        f"no runtime for model {spec.name}: it has files for {listed}; usable here: {usable}",
        hint=f"install the plugin of a runtime that the model has files for ({listed})",
    )


def runtime_for(plugins: Plugins, spec: ModelSpec, wanted: str = AUTO) -> RuntimeChoice:
    """`wanted`, or with "auto" what `choose_runtime` finds; `ModelError` says why one cannot run."""
    if wanted == AUTO:
        usable = [runtime.name for runtime in plugins.runtimes() if not missing_modules(runtime)]
        return choose_runtime(spec, usable, this_platform())
    runtime = plugins.runtime(wanted)
    if runtime.name not in spec.runtimes:
        listed = ", ".join(sorted(spec.runtimes)) or "none"
        raise ModelError(f"model {spec.name} has no files for the runtime {wanted}; it has: {listed}")
    if missing := missing_modules(runtime):
        raise ModelError(
            f"the runtime {wanted} cannot run here: {', '.join(missing)} cannot be imported",
            hint=f"pip install {' '.join(missing)}",
        )
    return RuntimeChoice(wanted, "asked for")


def missing_modules(runtime: RuntimeSpec) -> tuple[str, ...]:
    """The modules that the runtime needs and that are not installed; none is imported."""
    from importlib.util import find_spec

    def absent(name: str) -> bool:
        try:
            return find_spec(name) is None
        except (ImportError, ValueError):
            return True

    return tuple(name for name in runtime.modules if absent(name))


def this_platform() -> str:
    """The operating system and, where it matters for the choice, the processor."""
    system: str = sys.platform  # widened: a type checker knows only the system that it runs on
    if system != "darwin":
        return system
    from platform import machine

    return f"darwin-{machine()}"
