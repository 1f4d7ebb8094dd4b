"""Which runtime runs a model here, and with which of its files.

A model may have files of several precisions for one runtime. They stand in `ModelSpec.runtimes` as "onnx"
(what is usual), "onnx/int8", "mlx/4bit", and a recipe asks for them by that name. "auto" takes the usual ones
alone: what answers are made from must not change because a smaller file came to be there.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from patina_hooks.errors import ModelError, PluginError, SettingsError
from patina_hooks.plugins.installation import install_command, providers_of
from patina_hooks.plugins.kinds import RUNTIMES
from patina_hooks.specs.models import ModelSpec, RuntimeSpec

if TYPE_CHECKING:
    from patina_hooks.plugins.manager import Plugins

AUTO: Final = "auto"
APPLE_SILICON: Final = "darwin-arm64"


"""Runtimes whose plugin is called patina-<name>."""


@dataclass(frozen=True, slots=True)
class RuntimeChoice:
    """The runtime, and why it and no other.

    runtime: as a recipe names it, with the precision ("onnx", "onnx/int8", "patina-onnx/onnx").
    variant: what the user's settings change of its vectors, see `RuntimeSpec.variant`.
    """

    runtime: str
    reason: str
    variant: str = ""


@dataclass(frozen=True, slots=True)
class Weighed:
    """One runtime and what speaks for or against it.

    remedy: the command after which it could run here, "" where it can, or where none helps.
    explicit_only: it runs only where a recipe names it.
    """

    runtime: str
    usable: bool
    reason: str
    remedy: str = ""
    explicit_only: bool = False


def files_for(spec: ModelSpec, runtime: str) -> str:
    """The key of `spec.runtimes` that a runtime's name means: itself, or what follows a plugin's name.

    The name itself where the model has neither.
    """
    return next((key for key in (runtime, runtime.partition("/")[2]) if key in spec.runtimes), runtime)


def provider_of(spec: ModelSpec, runtime: str) -> str:
    """The name under which plugins provide it: "onnx" of "onnx/int8", "patina-onnx/onnx" as it is."""
    files = files_for(spec, runtime)
    precision = files.partition("/")[2] if files in spec.runtimes else ""
    return runtime.removesuffix(f"/{precision}") if precision else runtime


def weigh(
    spec: ModelSpec,
    installed: Mapping[str, Collection[str]],
    platform: str,
    *,
    remote: Collection[str] = (),
) -> list[Weighed]:
    """Every runtime that the model has files for, in the order of choice, then the others that are here.

    "auto" takes the first that `may_be_taken`: mlx on Apple silicon, else onnx, else torch, else by name.
    installed: name of each installed runtime -> the modules that it lacks here; platform: as
        `this_platform` writes it. A pure function of these: files need not have been pulled.
    remote: those of the installed that open no files and may run any model (see `RuntimeSpec.output`).
    """
    ranked = _ranked(spec, platform)
    usual = [name for name in ranked if name == _runtime(name)]
    chosen = next((name for name in usual if name in installed and not installed[name]), "")
    weighed = [_one(name, chosen, usual, installed.get(_runtime(name)), platform) for name in ranked]
    others = sorted(set(installed).difference(map(_runtime, ranked)))
    return weighed + [_other(name, installed[name], name in remote) for name in others]


def may_be_taken(one: Weighed, wanted: str = AUTO) -> bool:
    """Whether it can run here, and "auto" may take it or it is the one that is wanted."""
    return one.usable and (one.runtime == wanted or (wanted == AUTO and not one.explicit_only))


def _one(
    name: str, chosen: str, usual: Sequence[str], lacks: Collection[str] | None, platform: str
) -> Weighed:
    if lacks is None:
        return Weighed(name, False, "no installed plugin provides it", _installs(_runtime(name)))
    if lacks:
        absent = ", ".join(lacks)
        return Weighed(name, False, f"{absent} cannot be imported", install_command(*lacks))
    if name not in usual:
        return Weighed(name, True, f"can run where a recipe says: runtime: {name}", explicit_only=True)
    if name == chosen:
        first = f"the first of {', '.join(usual)} that" if len(usual) > 1 else "its only runtime, which"
        return Weighed(name, True, f"{first} can run here ({platform})")
    elsewhere = "; on Apple silicon it would be first" if name == "mlx" else ""
    return Weighed(name, True, f"can run here, but {chosen} comes first ({platform}){elsewhere}")


def _other(name: str, lacks: Collection[str], elsewhere: bool) -> Weighed:
    if not elsewhere:
        return Weighed(name, False, "the model has no files for it")
    if lacks:
        return _one(name, "", (), lacks, "")
    where = f"opens no files of a model and runs any, where a recipe says: runtime: {name}"
    return Weighed(name, True, where, explicit_only=True)


def _ranked(spec: ModelSpec, platform: str) -> list[str]:
    """Files of other precisions follow the usual ones of their runtime."""
    first = (*(("mlx",) if platform == APPLE_SILICON else ()), "onnx", "torch")

    def place(name: str) -> tuple[int, str]:
        runtime = _runtime(name)
        return (first.index(runtime) if runtime in first else len(first), name)

    return sorted(spec.runtimes, key=place)


def _runtime(files: str) -> str:
    return files.partition("/")[0]


def _installs(runtime: str) -> str:
    packages = providers_of("runtime", runtime)
    return install_command(*packages) if packages else ""


def choose_runtime(
    spec: ModelSpec,
    installed: Mapping[str, Collection[str]],
    platform: str,
    *,
    remote: Collection[str] = (),
) -> RuntimeChoice:
    """What "auto" means: the first of `weigh` that `may_be_taken`. `ModelError` where there is none."""
    weighed = weigh(spec, installed, platform, remote=remote)
    for one in weighed:
        if may_be_taken(one):
            return RuntimeChoice(one.runtime, one.reason)
    offered = [one for one in weighed if one.runtime in spec.runtimes]
    why = "; ".join(f"{one.runtime}: {one.reason}" for one in offered) or "it has files for none"
    remedies = [one.remedy for one in offered if one.remedy]
    remedies += [f"write in the recipe: runtime: {one.runtime}" for one in weighed if one.usable]
    remedies += [f"install the plugin of a runtime that it has files for; patina models explain {spec.name}"]
    raise ModelError(f"no runtime can run model {spec.name} here: {why}", hint=remedies[0])


def runtime_for(plugins: Plugins, spec: ModelSpec, wanted: str = AUTO) -> RuntimeChoice:
    """`wanted`, or with "auto" what `choose_runtime` finds; `ModelError` says why one cannot run."""
    if wanted == AUTO:
        here, remote = installed_runtimes(plugins), remote_runtimes(plugins)
        choice = choose_runtime(spec, here, this_platform(), remote=remote)
    else:
        choice = _asked_for(plugins, spec, wanted)
    provider = provider_of(spec, choice.runtime)
    reference = plugins.runtime(provider).variant
    return replace(choice, variant=_variant(plugins, provider, reference, spec)) if reference else choice


def _asked_for(plugins: Plugins, spec: ModelSpec, wanted: str) -> RuntimeChoice:
    has_files = files_for(spec, wanted) in spec.runtimes
    runtime = _provided(plugins, provider_of(spec, wanted)) if has_files else _fileless(plugins, wanted)
    if not has_files and runtime.output != "text_vectors":
        listed = ", ".join(sorted(spec.runtimes)) or "none"
        raise ModelError(
            f"model {spec.name} has no files for the runtime {wanted}; it has: {listed}",
            hint=f"patina models explain {spec.name}",
        )
    if missing := missing_modules(runtime):
        raise ModelError(
            f"the runtime {runtime.name} cannot run here: {', '.join(missing)} cannot be imported",
            hint=install_command(*missing),
        )
    return RuntimeChoice(wanted, "asked for")


def _fileless(plugins: Plugins, wanted: str) -> RuntimeSpec:
    """The runtime of that name, where "/" may follow a plugin's name or stand before a precision."""
    with suppress(PluginError):
        return plugins.runtime(wanted)
    return _provided(plugins, _runtime(wanted))


def _variant(plugins: Plugins, provider: str, reference: str, spec: ModelSpec) -> str:
    try:
        return str(plugins.open(RUNTIMES, provider, reference)(spec))
    except PluginError:
        raise
    except (
        Exception,
        SystemExit,
    ) as error:  # of a plugin: a fault of its model
        hint = error.hint if isinstance(error, SettingsError) else ""
        raise ModelError(f"the runtime {provider} cannot be used: {error}", hint=hint) from error


def _provided(plugins: Plugins, name: str) -> RuntimeSpec:
    try:
        return plugins.runtime(name)
    except PluginError as error:
        if _installs(name) and name not in installed_runtimes(plugins):
            error.hint = _installs(name)
        raise


def installed_runtimes(plugins: Plugins) -> dict[str, tuple[str, ...]]:
    """Name of each runtime that a plugin provides -> the modules that it lacks here."""
    return {runtime.name: missing_modules(runtime) for runtime in plugins.runtimes()}


def remote_runtimes(plugins: Plugins) -> frozenset[str]:
    """Names of the runtimes that open no files, see `RuntimeSpec.output`."""
    return frozenset(runtime.name for runtime in plugins.runtimes() if runtime.output == "text_vectors")


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
