"""Which runtime runs a model here, and with which of its files.

A model may have files of several precisions for one runtime. They stand in `ModelSpec.runtimes` as "onnx"
(the default), "onnx/int8", "mlx/4bit", and a recipe names them so. "auto" takes only the default files:
vectors must not change because a smaller file was added.
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


@dataclass(frozen=True, slots=True)
class RuntimeChoice:
    """The runtime, and why it was chosen.

    runtime: as a recipe names it, with the precision ("onnx", "onnx/int8", "patina-onnx/onnx").
    variant: what the user's settings change of its vectors, see `RuntimeSpec.variant`.
    """

    runtime: str
    reason: str
    variant: str = ""


@dataclass(frozen=True, slots=True)
class RuntimeOption:
    """A runtime and whether it can run a model here.

    remedy: the command after which it can run here, "" where it can, or where none helps.
    explicit_only: it runs only where a recipe names it.
    """

    runtime: str
    usable: bool
    reason: str
    remedy: str = ""
    explicit_only: bool = False


def files_for(spec: ModelSpec, runtime: str) -> str:
    """Return the key of `spec.runtimes` for a runtime's name, which may begin with a plugin's name.

    Returns the name itself where the model has no such key.
    """
    return next((key for key in (runtime, runtime.partition("/")[2]) if key in spec.runtimes), runtime)


def provider_of(spec: ModelSpec, runtime: str) -> str:
    """Return the name that plugins provide: "onnx" for "onnx/int8"; "patina-onnx/onnx" unchanged."""
    files = files_for(spec, runtime)
    precision = files.partition("/")[2] if files in spec.runtimes else ""
    return runtime.removesuffix(f"/{precision}") if precision else runtime


def list_runtime_options(
    spec: ModelSpec,
    installed: Mapping[str, Collection[str]],
    platform: str,
    *,
    remote: Collection[str] = (),
) -> list[RuntimeOption]:
    """List the runtimes that a model has files for, in the order of choice, then all others.

    "auto" takes the first that `is_eligible`: mlx on Apple silicon, else onnx, else torch, else by name.
    Files need not be pulled.

    Args:
        spec: the model.
        installed: name of each installed runtime -> the modules that it lacks here.
        platform: as `this_platform` writes it.
        remote: installed runtimes that open no files and may run any model (see `RuntimeSpec.output`).
    """
    names = _in_order(spec, platform)
    defaults = [name for name in names if name == _runtime(name)]
    chosen = next((name for name in defaults if name in installed and not installed[name]), "")
    options = [_option(name, chosen, defaults, installed.get(_runtime(name)), platform) for name in names]
    fileless = sorted(set(installed).difference(map(_runtime, names)))
    return options + [_other_option(name, installed[name], name in remote) for name in fileless]


def is_eligible(option: RuntimeOption, requested: str = AUTO) -> bool:
    """Return whether it can run here and is the requested runtime, or "auto" may take it."""
    is_requested = option.runtime == requested or (requested == AUTO and not option.explicit_only)
    return option.usable and is_requested


def _option(
    name: str, chosen: str, defaults: Sequence[str], lacks: Collection[str] | None, platform: str
) -> RuntimeOption:
    if lacks is None:
        return RuntimeOption(name, False, "no installed plugin provides it", _install_command(_runtime(name)))
    if lacks:
        absent = ", ".join(lacks)
        return RuntimeOption(name, False, f"{absent} cannot be imported", install_command(*lacks))
    if name not in defaults:
        return RuntimeOption(
            name, True, f"can run where a recipe names it: runtime: {name}", explicit_only=True
        )
    if name == chosen:
        first = f"the first of {', '.join(defaults)} that" if len(defaults) > 1 else "its only runtime, which"
        return RuntimeOption(name, True, f"{first} can run here ({platform})")
    apple = "; on Apple silicon it would be first" if name == "mlx" else ""
    return RuntimeOption(name, True, f"can run here, but {chosen} comes first ({platform}){apple}")


def _other_option(name: str, lacks: Collection[str], is_remote: bool) -> RuntimeOption:
    if not is_remote:
        return RuntimeOption(name, False, "the model has no files for it")
    if lacks:
        return _option(name, "", (), lacks, "")
    reason = f"opens no files of a model and runs any, where a recipe names it: runtime: {name}"
    return RuntimeOption(name, True, reason, explicit_only=True)


def _in_order(spec: ModelSpec, platform: str) -> list[str]:
    """Order runtimes: other precisions follow the default files of their runtime."""
    first = (*(("mlx",) if platform == APPLE_SILICON else ()), "onnx", "torch")

    def rank(name: str) -> tuple[int, str]:
        runtime = _runtime(name)
        return (first.index(runtime) if runtime in first else len(first), name)

    return sorted(spec.runtimes, key=rank)


def _runtime(files: str) -> str:
    return files.partition("/")[0]


def _install_command(runtime: str) -> str:
    packages = providers_of("runtime", runtime)
    return install_command(*packages) if packages else ""


def choose_runtime(
    spec: ModelSpec,
    installed: Mapping[str, Collection[str]],
    platform: str,
    *,
    remote: Collection[str] = (),
) -> RuntimeChoice:
    """Choose a runtime for "auto": the first of `list_runtime_options` that `is_eligible`.

    Raises:
        ModelError: no runtime can run the model here.
    """
    options = list_runtime_options(spec, installed, platform, remote=remote)
    for option in options:
        if is_eligible(option):
            return RuntimeChoice(option.runtime, option.reason)
    own = [option for option in options if option.runtime in spec.runtimes]
    reason = "; ".join(f"{option.runtime}: {option.reason}" for option in own) or "it has files for none"
    remedies = [option.remedy for option in own if option.remedy]
    remedies += [f"write in the recipe: runtime: {option.runtime}" for option in options if option.usable]
    remedies += [f"install the plugin of a runtime that it has files for; patina models explain {spec.name}"]
    raise ModelError(f"no runtime can run model {spec.name} here: {reason}", hint=remedies[0])


def runtime_for(plugins: Plugins, spec: ModelSpec, requested: str = AUTO) -> RuntimeChoice:
    """Return the requested runtime, or for "auto" what `choose_runtime` chooses.

    Raises:
        ModelError: the runtime cannot run the model here, with the reason.
    """
    if requested == AUTO:
        installed, remote = installed_runtimes(plugins), remote_runtimes(plugins)
        choice = choose_runtime(spec, installed, this_platform(), remote=remote)
    else:
        choice = _choose_named(plugins, spec, requested)
    provider = provider_of(spec, choice.runtime)
    reference = plugins.runtime(provider).variant
    return replace(choice, variant=_variant(plugins, provider, reference, spec)) if reference else choice


def _choose_named(plugins: Plugins, spec: ModelSpec, requested: str) -> RuntimeChoice:
    has_files = files_for(spec, requested) in spec.runtimes
    runtime = (
        _find_runtime(plugins, provider_of(spec, requested))
        if has_files
        else _remote_runtime(plugins, requested)
    )
    if not has_files and runtime.output != "text_vectors":
        listed = ", ".join(sorted(spec.runtimes)) or "none"
        raise ModelError(
            f"model {spec.name} has no files for the runtime {requested}; it has: {listed}",
            hint=f"patina models explain {spec.name}",
        )
    if missing := missing_modules(runtime):
        raise ModelError(
            f"the runtime {runtime.name} cannot run here: {', '.join(missing)} cannot be imported",
            hint=install_command(*missing),
        )
    return RuntimeChoice(requested, "requested")


def _remote_runtime(plugins: Plugins, requested: str) -> RuntimeSpec:
    """Find a runtime whose name may begin with a plugin's name or end with a precision."""
    with suppress(PluginError):
        return plugins.runtime(requested)
    return _find_runtime(plugins, _runtime(requested))


def _variant(plugins: Plugins, provider: str, reference: str, spec: ModelSpec) -> str:
    try:
        return str(plugins.open(RUNTIMES, provider, reference)(spec))
    except PluginError:
        raise
    except (
        Exception,
        SystemExit,
    ) as error:  # of the plugin
        hint = error.hint if isinstance(error, SettingsError) else ""
        raise ModelError(f"the runtime {provider} cannot be used: {error}", hint=hint) from error


def _find_runtime(plugins: Plugins, name: str) -> RuntimeSpec:
    try:
        return plugins.runtime(name)
    except PluginError as error:
        if _install_command(name) and name not in installed_runtimes(plugins):
            error.hint = _install_command(name)
        raise


def installed_runtimes(plugins: Plugins) -> dict[str, tuple[str, ...]]:
    """Return the name of each runtime that a plugin provides -> the modules that it lacks here."""
    return {runtime.name: missing_modules(runtime) for runtime in plugins.runtimes()}


def remote_runtimes(plugins: Plugins) -> frozenset[str]:
    """Return the names of the runtimes that open no files, see `RuntimeSpec.output`."""
    return frozenset(runtime.name for runtime in plugins.runtimes() if runtime.output == "text_vectors")


def missing_modules(runtime: RuntimeSpec) -> tuple[str, ...]:
    """Return the modules that the runtime needs and that are not installed; imports none."""
    from importlib.util import find_spec

    def is_absent(name: str) -> bool:
        try:
            return find_spec(name) is None
        except (ImportError, ValueError):
            return True

    return tuple(name for name in runtime.modules if is_absent(name))


def this_platform() -> str:
    """Return the operating system and, where it matters for the choice, the processor."""
    system: str = sys.platform  # widened: a type checker knows only its own system
    if system != "darwin":
        return system
    from platform import machine

    return f"darwin-{machine()}"
