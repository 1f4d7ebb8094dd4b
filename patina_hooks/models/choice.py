"""Which runtime runs a model here."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from patina_hooks.errors import ModelError, PluginError
from patina_hooks.types import ModelSpec, RuntimeSpec

if TYPE_CHECKING:
    from patina_hooks.plugins import Plugins

AUTO: Final = "auto"
APPLE_SILICON: Final = "darwin-arm64"


_SHIPPED: Final = ("onnx", "mlx", "torch")
"""Runtimes whose plugin is called patina-<name>."""


@dataclass(frozen=True, slots=True)
class RuntimeChoice:
    """The runtime, and why it and no other."""

    runtime: str
    reason: str


@dataclass(frozen=True, slots=True)
class Weighed:
    """One runtime and what speaks for or against it.

    remedy: the command after which it could run here, "" where it can, or where none helps.
    """

    runtime: str
    usable: bool
    reason: str
    remedy: str = ""


def weigh(spec: ModelSpec, installed: Mapping[str, Collection[str]], platform: str) -> list[Weighed]:
    """Every runtime that the model has files for, in the order of choice, then the others that are here.

    "auto" takes the first that is usable: mlx on Apple silicon, else onnx, else torch, else by name.
    installed: name of each installed runtime -> the modules that it lacks here; platform: as
        `this_platform` writes it. A pure function of these: files need not have been pulled.
    """
    ranked = _ranked(spec, platform)
    chosen = next((name for name in ranked if name in installed and not installed[name]), "")
    weighed = [_one(name, chosen, ranked, installed.get(name), platform) for name in ranked]
    others = sorted(set(installed) - set(ranked))
    return weighed + [Weighed(name, False, "the model has no files for it") for name in others]


def _one(
    name: str, chosen: str, ranked: Sequence[str], lacks: Collection[str] | None, platform: str
) -> Weighed:
    if lacks is None:
        return Weighed(name, False, "no installed plugin provides it", _installs(name))
    if lacks:
        absent = ", ".join(lacks)
        return Weighed(name, False, f"{absent} cannot be imported", f"pip install {' '.join(lacks)}")
    if name == chosen:
        first = f"the first of {', '.join(ranked)} that" if len(ranked) > 1 else "its only runtime, which"
        return Weighed(name, True, f"{first} can run here ({platform})")
    elsewhere = "; on Apple silicon it would be first" if name == "mlx" else ""
    return Weighed(name, True, f"can run here, but {chosen} comes first ({platform}){elsewhere}")


def _ranked(spec: ModelSpec, platform: str) -> list[str]:
    first = (*(("mlx",) if platform == APPLE_SILICON else ()), "onnx", "torch")
    ranked = [name for name in first if name in spec.runtimes]
    return ranked + sorted(set(spec.runtimes) - set(ranked))


def _installs(runtime: str) -> str:
    return f"pip install patina-{runtime}" if runtime in _SHIPPED else ""


def choose_runtime(spec: ModelSpec, installed: Mapping[str, Collection[str]], platform: str) -> RuntimeChoice:
    """What "auto" means: the first usable one of `weigh`. `ModelError` where there is none."""
    weighed = weigh(spec, installed, platform)
    for one in weighed:
        if one.usable:
            return RuntimeChoice(one.runtime, one.reason)
    offered = [one for one in weighed if one.runtime in spec.runtimes]
    why = "; ".join(f"{one.runtime}: {one.reason}" for one in offered) or "it has files for none"
    remedy = next((one.remedy for one in offered if one.remedy), "")
    raise ModelError(
        f"no runtime can run model {spec.name} here: {why}",
        hint=remedy
        or f"install the plugin of a runtime that it has files for; patina models explain {spec.name}",
    )


def runtime_for(plugins: Plugins, spec: ModelSpec, wanted: str = AUTO) -> RuntimeChoice:
    """`wanted`, or with "auto" what `choose_runtime` finds; `ModelError` says why one cannot run."""
    if wanted == AUTO:
        return choose_runtime(spec, installed_runtimes(plugins), this_platform())
    runtime = _provided(plugins, wanted)
    if runtime.name not in spec.runtimes:
        listed = ", ".join(sorted(spec.runtimes)) or "none"
        raise ModelError(
            f"model {spec.name} has no files for the runtime {wanted}; it has: {listed}",
            hint=f"patina models explain {spec.name}",
        )
    if missing := missing_modules(runtime):
        raise ModelError(
            f"the runtime {wanted} cannot run here: {', '.join(missing)} cannot be imported",
            hint=f"pip install {' '.join(missing)}",
        )
    return RuntimeChoice(wanted, "asked for")


def _provided(plugins: Plugins, name: str) -> RuntimeSpec:
    try:
        return plugins.runtime(name)
    except PluginError as error:
        if name in _SHIPPED and name not in installed_runtimes(plugins):
            error.hint = _installs(name)
        raise


def installed_runtimes(plugins: Plugins) -> dict[str, tuple[str, ...]]:
    """Name of each runtime that a plugin provides -> the modules that it lacks here."""
    return {runtime.name: missing_modules(runtime) for runtime in plugins.runtimes()}


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
