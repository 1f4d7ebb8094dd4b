"""Load plugins and find what they provide, one by one, so that no plugin stops another.

pluggy's own entry-point loading and calling end at the first failure; here each plugin is loaded, each
register hook called and each event delivered separately. An error is kept as a `RecordedError` of that
plugin (`PATINA_STRICT=1` raises it), and the other plugins continue.

Names. A plugin has the name of its entry point in group "patina". Two distributions that use one name
both get `<name>@<distribution>`. What plugins provide is found by name; a name that several plugins
provide is an error only when it is used, and `<plugin>/<name>` is always unique. Listings are sorted by
name and never depend on the order of loading. All extractors, pair generators and commands are used, so
there an ambiguous name becomes `<plugin>/<name>`.
"""

from __future__ import annotations

import dataclasses
import os
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Generic, cast

import pluggy

from patina_hooks.config.plugin_settings import disabled_plugins
from patina_hooks.errors import PatinaError, PluginError
from patina_hooks.plugins import hookspecs
from patina_hooks.plugins.calls import (
    BUILTIN,
    CALL_SECONDS,
    SHORT_CALL_SECONDS,
    PluginFunction,
    failure_of,
    plugin_call,
)
from patina_hooks.plugins.distributions import EntryPoint, installed_version, read_entry_points
from patina_hooks.plugins.failure_log import FailureLog
from patina_hooks.plugins.hook_threads import HOOK_SECONDS, TIMEOUT_ERROR, HookThread, HookTimeout
from patina_hooks.plugins.installation import install_command, providers_of
from patina_hooks.plugins.kinds import (
    BACKENDS,
    COMMANDS,
    EXTRACTORS,
    GENERATORS,
    KINDS,
    MODELS,
    PROJECTIONS,
    REFERENCE,
    RETRIEVERS,
    RUNTIMES,
    SOURCES,
    Kind,
    S,
    describe_type,
    find_problem,
    renamed_field,
)
from patina_hooks.specs.models import ModelSpec, RuntimeSpec
from patina_hooks.specs.plugins import (
    CommandSpec,
    ExtractorSpec,
    IndexBackendSpec,
    PairGeneratorSpec,
    PluginInfo,
    ProjectionSpec,
    RecordedError,
)
from patina_hooks.specs.retrieval import RetrieverSpec
from patina_hooks.specs.sources import SourceSpec
from patina_hooks.system.user_folders import SETTINGS_FILE

GROUP: Final = "patina"
_DISABLED_VARIABLE: Final = "PATINA_DISABLE_PLUGINS"


@dataclass(frozen=True, slots=True)
class _Provided(Generic[S]):
    plugin: str
    spec: S

    @property
    def qualified(self) -> str:
        return f"{self.plugin}/{self.spec.name}"


class Plugins:
    """The plugins of this interpreter and what they provide."""

    def __init__(self, *, strict: bool = False) -> None:
        self._strict = strict
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._known = frozenset(vars(self._manager.hook)) & frozenset(dir(hookspecs))
        self._distributions: dict[str, str | None] = {}
        self._disabled: dict[str, tuple[str, str]] = {}
        self._faults: list[RecordedError] = []
        self.failures = FailureLog()
        self._registries: dict[str, tuple[_Provided[Any], ...]] = {}
        self._hook_threads: dict[str, HookThread] = {}
        self._filling = threading.RLock()  # one thread opens a model while another reconciles

    @classmethod
    def load(cls, *, disabled: Collection[str] | None = None, strict: bool | None = None) -> Plugins:
        """Load the built-ins, then every entry point of group "patina".

        Args:
            disabled: names of plugins (or their distributions) to leave out, "*" for all but the built-ins;
                by default those in `PATINA_DISABLE_PLUGINS` and `plugins.disable` of the user's settings.
            strict: raise `PluginError` at the first error; by default when `PATINA_STRICT=1`.
        """
        off = _disabled_by_default() if disabled is None else dict.fromkeys(disabled, "arguments")
        plugins = cls(strict=os.environ.get("PATINA_STRICT") == "1" if strict is None else strict)
        plugins._load(BUILTIN, BUILTIN, "patina_hooks.plugins.builtin", _import_builtin)
        for name, entry in _name_entries(read_entry_points(GROUP)):
            origin = next((off[key] for key in (name, entry.name, entry.distribution, "*") if key in off), "")
            if origin:
                plugins._disabled[name] = (entry.distribution, origin)
            else:
                plugins._load(name, entry.distribution or None, entry.value, entry.load)
        return plugins

    # --- lookup ---

    def model(self, name: str) -> ModelSpec:
        """Return the model of that name; `PluginError` where none or several plugins provide it."""
        return self._find(MODELS, name).spec

    def module_of(self, kind: Kind[S], name: str) -> str:
        """Return the module of the plugin that provides this, as `import` names it."""
        return self._module_of(self._find(kind, name).plugin)

    def models(self) -> tuple[ModelSpec, ...]:
        return self._all(MODELS)

    def runtime(self, name: str) -> RuntimeSpec:
        """Return the runtime of that name; `PluginError` where none or several plugins provide it."""
        return self._find(RUNTIMES, name).spec

    def distributions_of(self, model: str, runtime: str) -> tuple[str, ...]:
        """Return the distributions whose plugins provide a model and a runtime; `PluginError` as `model`."""
        plugins = (self._find(RUNTIMES, runtime).plugin, self._find(MODELS, model).plugin)
        return tuple(name for plugin in plugins if (name := self._distributions.get(plugin)))

    def distribution_of(self, plugin: str) -> str | None:
        """Return the distribution that installs a plugin, None where it belongs to none."""
        return self._distributions.get(plugin)

    def runtimes(self) -> tuple[RuntimeSpec, ...]:
        return self._all(RUNTIMES)

    def sources(self) -> tuple[SourceSpec, ...]:
        """Return the kinds of documents, each once, in the order in which they may take a file."""
        order = sorted(self._registry(SOURCES), key=lambda entry: (entry.plugin == BUILTIN, entry.spec.name))
        return tuple(entry.spec for entry in order)

    def extractors(self) -> tuple[ExtractorSpec, ...]:
        return self._distinct(EXTRACTORS)

    def pair_generators(self) -> tuple[PairGeneratorSpec, ...]:
        return self._distinct(GENERATORS)

    def projection(self, name: str) -> ProjectionSpec:
        """Return the kind of projection of that name; `PluginError` as `model`."""
        return self._find(PROJECTIONS, name).spec

    def projections(self) -> tuple[ProjectionSpec, ...]:
        return self._all(PROJECTIONS)

    def index_backend(self, name: str) -> IndexBackendSpec:
        """Return the index backend of that name; `PluginError` where none or several plugins provide it."""
        return self._find(BACKENDS, name).spec

    def index_backends(self) -> tuple[IndexBackendSpec, ...]:
        return self._all(BACKENDS)

    def retrievers(self) -> tuple[RetrieverSpec, ...]:
        """Return all retrievers: the built-in ones in the order of their weights, then those of plugins."""
        builtin = [entry.spec for entry in self._registry(RETRIEVERS) if entry.plugin == BUILTIN]
        names = {spec.name for spec in builtin}
        return (*builtin, *(spec for spec in self._distinct(RETRIEVERS) if spec.name not in names))

    def spec(self, kind: Kind[S], name: str) -> S:
        """Return the spec of that name; `PluginError` where none or several plugins provide it."""
        return self._find(kind, name).spec

    def added_names(self, kind: Kind[S]) -> tuple[str, ...]:
        """Return the unique names of what plugins add to the built-in ones of a kind."""
        registry = self._registry(kind)
        named = zip(self._names(registry), registry, strict=True)
        return tuple(sorted(name for name, entry in named if entry.plugin != BUILTIN))

    def commands(self) -> tuple[CommandSpec, ...]:
        return self._distinct(COMMANDS)

    def owner(self, kind: Kind[S], name: str) -> str:
        """Return the plugin that provides this; `PluginError` where none or several do."""
        return self._find(kind, name).plugin

    def open(self, kind: Kind[S], name: str, reference: str) -> PluginFunction:
        """Import the code that a spec names.

        Raises:
            PluginError: it cannot be imported.
        """
        limit = SHORT_CALL_SECONDS if kind in (EXTRACTORS, GENERATORS) else CALL_SECONDS
        return open_function(self.owner(kind, name), f"{kind.noun} {name}", reference, limit)

    def open_spec(self, kind: Kind[S], name: str) -> PluginFunction:
        """Import the first code that the spec of a name refers to.

        Raises:
            PluginError: it cannot be imported.
        """
        return self.open(kind, name, getattr(self._find(kind, name).spec, kind.references[0]))

    def import_runtime(self, name: str) -> None:
        """Import the modules of a runtime; an error is left for the caller that opens a model with it."""
        from importlib import import_module

        plugin = self.owner(RUNTIMES, name)
        for module in self.runtime(name).modules:
            try:
                with plugin_call(plugin, f"import of {module}"):
                    import_module(module)
            except KeyboardInterrupt:
                raise
            except BaseException:  # noqa: S112 (the caller that opens a model meets it)
                continue

    @property
    def is_strict(self) -> bool:
        """Whether errors of plugins are raised (`PATINA_STRICT=1`)."""
        return self._strict

    def info(self) -> list[PluginInfo]:
        """Return version, contents and errors of every plugin, by name. Calls every register hook."""
        for kind in KINDS:
            self._registry(kind)
        return [
            PluginInfo(
                name,
                self.version(name),
                self._provided_by(name),
                self.faults_of(name),
                self._event_hooks_of(name),
            )
            for name in self.names()
        ]

    def disabled(self) -> tuple[PluginInfo, ...]:
        """Return the plugins that are installed and not loaded, by name."""
        return tuple(
            PluginInfo(name, installed_version(distribution), {}, (), disabled_by=origin)
            for name, (distribution, origin) in sorted(self._disabled.items())
        )

    def names(self) -> tuple[str, ...]:
        """Return the names of all plugins. Calls no hook."""
        return tuple(sorted(self._distributions))

    def files(self) -> list[Path]:
        """List the files of the modules that plugins are loaded from."""
        modules = (sys.modules.get(self._module_of(name)) for name in self.names())
        return [Path(file) for module in modules if (file := getattr(module, "__file__", None))]

    def version(self, name: str) -> str:
        """Return the version of the plugin's distribution, "" where it belongs to none."""
        return installed_version(self._distributions.get(name) or "")

    @property
    def faults(self) -> tuple[RecordedError, ...]:
        """The errors of loading and registering so far, in order."""
        return tuple(self._faults)

    def faults_of(self, name: str) -> tuple[RecordedError, ...]:
        return tuple(fault for fault in self._faults if fault.plugin == name)

    # --- events ---

    def listens(self, event: str) -> bool:
        """Return whether any plugin implements this event hook."""
        return bool(self._implementations(event))

    def notify(self, event: str, **arguments: object) -> tuple[RecordedError, ...]:
        """Call the event hook of every plugin that implements it, each with the arguments it takes.

        Each runs in its plugin's thread (see `hook_threads`), for ten seconds at most. Call this with no
        lock held.

        Returns:
            The errors of this call, which are not among `faults`.

        Raises:
            KeyboardInterrupt: a hook raised it.
            PluginError: a hook failed, in strict mode.
        """
        faults: list[RecordedError] = []
        for plugin, implementation in self._implementations(event):
            thread = self._hook_threads.setdefault(plugin, HookThread(plugin))
            if thread.is_abandoned:
                continue
            values = [arguments[name] for name in implementation.argnames]
            hook = partial(implementation.function, *values)
            try:
                with plugin_call(plugin, event):
                    answer = thread.call(hook, HOOK_SECONDS)
            except KeyboardInterrupt:
                raise
            except HookTimeout:
                fault = self.fault(plugin, event, TIMEOUT_ERROR)
                hint = f"PATINA_DISABLE_PLUGINS={plugin} patina sync"
                faults.append(dataclasses.replace(fault, hint=hint))
                continue
            except BaseException as error:
                faults.append(self.fault(plugin, event, self._failure(plugin, error), error))
                continue
            if answer is not None:
                problem = f"returned {describe_type(answer)}; an event hook returns None"
                faults.append(self.fault(plugin, event, problem))
        return tuple(faults)

    # --- loading ---

    def register(self, plugin: object, name: str, *, distribution: str | None = None) -> None:
        """Register a plugin that is already imported (a module, or an object with hook implementations).

        An invalid signature is recorded as an error and the plugin is left out; an unknown hook is recorded
        as an error and the plugin's other hooks are used.
        """
        self._load(name, distribution, "register", lambda: plugin)

    def _load(self, name: str, distribution: str | None, where: str, load: Callable[[], object]) -> None:
        if name in self._distributions:
            self._fault(name, where, f"a plugin named {name!r} is already registered; the first is used")
            return
        self._distributions[name] = distribution
        try:
            with plugin_call(name, f"import of {where}", SHORT_CALL_SECONDS):
                plugin = load()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self._fault(name, where, failure_of(error, where), error)
        else:
            self._register(name, plugin)

    def _register(self, name: str, plugin: object) -> None:
        try:
            self._manager.register(plugin, name)
        except (pluggy.PluginValidationError, ValueError) as error:
            if self._manager.has_plugin(name):  # pluggy before 1.7 keeps the hooks before the bad one
                self._manager.unregister(name=name)
            self._fault(name, "register", self._explain_signature(plugin) or _describe_error(error), error)
            return
        for caller in self._manager.get_hookcallers(plugin) or ():
            if caller.name not in self._known:
                self._fault(name, caller.name, _unknown("hook", caller.name, self._known))

        self._report_unmarked(name, plugin)

    def _explain_signature(self, plugin: object) -> str:
        """Name the hook implementations that take arguments which their hooks lack, "" if there are none."""
        from inspect import signature

        problems = []
        for hook in self._implemented(plugin):
            implementation = getattr(plugin, hook)
            arguments = list(signature(getattr(hookspecs, hook)).parameters)
            unknown = [name for name in signature(implementation).parameters if name not in arguments]
            if unknown:
                listed = ", ".join(arguments) or "none"
                problems.append(f"{hook} takes no argument {unknown[0]!r} (it has: {listed})")
        return "; ".join(problems)

    def _report_unmarked(self, name: str, plugin: object) -> None:
        """Record the hooks of a plugin that pluggy does not see since they are not marked."""
        called = {caller.name for caller in self._manager.get_hookcallers(plugin) or ()}
        for hook in self._implemented(plugin):
            if hook not in called:
                self._fault(name, hook, "is not marked with @hookimpl, so it is never called")

    def _implemented(self, plugin: object) -> list[str]:
        """List the functions of a module, or the methods of an object, that have the name of a hook."""
        members = {**vars(type(plugin)), **getattr(plugin, "__dict__", {})}
        return sorted(hook for hook in self._known if callable(members.get(hook)))

    # --- finding ---

    def _find(self, kind: Kind[S], name: str) -> _Provided[S]:
        registry = self._registry(kind)
        matches = [entry for entry in registry if name in (entry.spec.name, entry.qualified)]
        if len(matches) == 1:
            return matches[0]
        if matches:
            unique = ", ".join(entry.qualified for entry in matches)
            raise PluginError(
                f"several plugins provide the {kind.noun} {name!r}", hint=f"name one of: {unique}"
            )
        packages = [package for package in providers_of(kind.noun, name) if package not in self._disabled]
        hint = install_command(*packages) if packages else "patina plugins"
        raise PluginError(_unknown(kind.noun, name, self._names(registry)) + self._list_broken(), hint=hint)

    def _all(self, kind: Kind[S]) -> tuple[S, ...]:
        ordered = sorted(self._registry(kind), key=lambda entry: (entry.spec.name, entry.plugin))
        return tuple(entry.spec for entry in ordered)

    def _distinct(self, kind: Kind[S]) -> tuple[S, ...]:
        registry = self._registry(kind)
        named = sorted(zip(self._names(registry), registry, strict=True), key=lambda pair: pair[0])
        return tuple(dataclasses.replace(entry.spec, name=name) for name, entry in named)

    @staticmethod
    def _names(registry: Iterable[_Provided[S]]) -> list[str]:
        registry = tuple(registry)
        times = Counter(entry.spec.name for entry in registry)
        return [entry.spec.name if times[entry.spec.name] == 1 else entry.qualified for entry in registry]

    def _list_broken(self) -> str:
        broken = sorted({fault.plugin for fault in self._faults})
        states = {"with errors": broken, "disabled": sorted(self._disabled)}
        return "".join(f" ({state}: {', '.join(names)})" for state, names in states.items() if names)

    def _provided_by(self, name: str) -> Mapping[str, tuple[str, ...]]:
        provided = {
            kind.plural: tuple(
                sorted(entry.spec.name for entry in self._registry(kind) if entry.plugin == name)
            )
            for kind in KINDS
        }
        return {plural: names for plural, names in provided.items() if names}

    def _event_hooks_of(self, name: str) -> tuple[str, ...]:
        events = sorted(self._known - {kind.hook for kind in KINDS})
        return tuple(event for event in events if name in dict(self._implementations(event)))

    # --- registering ---

    def _registry(self, kind: Kind[S]) -> tuple[_Provided[S], ...]:
        with self._filling:
            if kind.hook not in self._registries:
                self._registries[kind.hook] = ()  # a hook that asks for its own kind gets nothing, not a loop
                self._registries[kind.hook] = tuple(self._checked(kind, self._provided(kind)))
            return cast("tuple[_Provided[S], ...]", self._registries[kind.hook])

    def _provided(self, kind: Kind[S]) -> Iterator[_Provided[S]]:
        for plugin, implementation in self._implementations(kind.hook):
            for spec in self._specs(plugin, kind, implementation.function):
                yield _Provided(plugin, spec)

    def _checked(self, kind: Kind[S], provided: Iterable[_Provided[S]]) -> Iterator[_Provided[S]]:
        """Yield what can be used together with other plugins; record errors for the rest."""
        if kind.spec is SourceSpec:
            return self._distinct_kinds(sorted(provided, key=lambda entry: entry.plugin != BUILTIN))
        return self._of_known_kinds(provided) if kind.spec is ExtractorSpec else iter(provided)

    def _distinct_kinds(self, provided: Iterable[_Provided[Any]]) -> Iterator[_Provided[Any]]:
        owners: dict[str, str] = {}
        for entry in provided:
            spec: SourceSpec = entry.spec
            owner = owners.setdefault(spec.name, entry.plugin)
            if owner != entry.plugin:
                problem = f"source {spec.name!r} is provided by {owner}; it is left out"
                self._fault(entry.plugin, SOURCES.hook, problem)
            elif spec.objects == "messages" and entry.plugin != BUILTIN:
                problem = f"source {spec.name!r}: only the built-in source 'commit' reads messages"
                self._fault(entry.plugin, SOURCES.hook, f"{problem}; it is left out")
            else:
                yield entry

    def _of_known_kinds(self, provided: Iterable[_Provided[Any]]) -> Iterator[_Provided[Any]]:
        kinds = sorted(spec.name for spec in self.sources())
        for entry in provided:
            spec: ExtractorSpec = entry.spec
            if spec.document_kind in kinds:
                yield entry
            else:
                problem = f"unknown kind of document {spec.document_kind!r}; choose from {', '.join(kinds)}"
                self._fault(entry.plugin, EXTRACTORS.hook, f"extractor {spec.name!r}: {problem}")

    def _specs(self, plugin: str, kind: Kind[S], hook: Callable[[], object]) -> Iterator[S]:
        names: set[str] = set()
        for collected in self._collect_specs(plugin, kind.hook, hook):
            problem = find_problem(kind, collected, names, is_builtin=plugin == BUILTIN)
            if problem:
                self._fault(plugin, kind.hook, problem)
            else:
                spec = cast("S", collected)
                names.add(spec.name)
                yield spec

    def _collect_specs(self, plugin: str, where: str, hook: Callable[[], object]) -> list[object]:
        specs: list[object] = []
        try:
            with plugin_call(plugin, where, SHORT_CALL_SECONDS):
                answer = hook()
                if isinstance(answer, Iterable) and not isinstance(answer, (str, bytes, Mapping)):
                    for spec in answer:  # not extend(): specs before a failure are used
                        specs.append(spec)
                    return specs
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            field = renamed_field(error)
            problem = self._failure(plugin, error) + (f"; the field is now {field!r}" if field else "")
            self._fault(plugin, where, problem, error)
        else:
            self._fault(plugin, where, f"returned {describe_type(answer)}; return a list, or yield")
        return specs

    def _implementations(self, hook: str) -> list[tuple[str, pluggy.HookImpl]]:
        if hook not in self._known:
            raise ValueError(_unknown("hook", hook, self._known))
        implementations = getattr(self._manager.hook, hook).get_hookimpls()
        named = [(hookimpl.plugin_name, hookimpl) for hookimpl in implementations]
        return sorted(named, key=lambda pair: pair[0])

    def _failure(self, plugin: str, error: BaseException) -> str:
        return failure_of(error, self._module_of(plugin))

    def _module_of(self, plugin: str) -> str:
        """Return a module of the plugin, as `import` names it."""
        loaded = self._manager.get_plugin(plugin)
        return str(getattr(loaded, "__name__", type(loaded).__module__))

    def record_failure(self, function: PluginFunction, error: BaseException) -> RecordedError:
        """Record the error of a failed call once; raise `PluginError` in strict mode."""
        return self._recorded(function.plugin, function.action, function.failure(error), error)

    def record_fault(self, plugin: str, where: str, error: PluginError) -> RecordedError:
        """Record the error of code that cannot be opened; raise `PluginError` in strict mode."""
        return self._recorded(plugin, where, str(error), error)

    def _recorded(self, plugin: str, where: str, error: str, cause: BaseException) -> RecordedError:
        fault = self.fault(plugin, where, error, cause)
        if fault not in self._faults:
            self._faults.append(fault)
        return fault

    def _fault(self, plugin: str, where: str, error: str, cause: BaseException | None = None) -> None:
        self._faults.append(self.fault(plugin, where, error, cause))

    def fault(self, plugin: str, where: str, error: str, cause: BaseException | None = None) -> RecordedError:
        """Create the error record of a call into a plugin; raise `PluginError` in strict mode."""
        if self._strict:
            raise PluginError(f"plugin {plugin}, {where}: {error}") from cause
        fault = RecordedError(plugin, where, error, cause.hint if isinstance(cause, PatinaError) else "")
        if cause is not None:
            self.failures.add(fault, cause)
        return fault


def open_function(plugin: str, action: str, reference: str, limit: float = CALL_SECONDS) -> PluginFunction:
    """Import the code of a plugin; each call of it is guarded.

    Args:
        plugin: the plugin's name, as messages have it.
        action: see `PluginFunction`.
        reference: code as a spec names it.
        limit: seconds after which a worker gives up a call.

    Raises:
        PluginError: the code cannot be imported, or is not callable.
    """
    with plugin_call(plugin, f"import of {reference.partition(':')[0]}", SHORT_CALL_SECONDS):
        function = open_callable(reference)
    return PluginFunction(plugin, action, reference, function, limit)


def open_callable(reference: str) -> Callable[..., Any]:
    """Import "package.module:callable".

    Raises:
        PluginError: it cannot be imported, or is not callable.
    """
    from importlib import import_module

    if not REFERENCE.fullmatch(reference):
        raise PluginError(f"{reference!r} does not name code: expected 'package.module:callable'")
    module, _, path = reference.partition(":")
    try:
        target: object = import_module(module)
        for attribute in path.split("."):
            target = getattr(target, attribute)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise PluginError(f"cannot open {reference}: {failure_of(error, module)}") from error
    if not callable(target):
        raise PluginError(f"cannot open {reference}: {describe_type(target)} is not callable")
    return cast("Callable[..., Any]", target)


def _import_builtin() -> object:
    from patina_hooks.plugins import builtin

    return builtin


def _name_entries(entries: Collection[EntryPoint]) -> Iterator[tuple[str, EntryPoint]]:
    times = Counter([BUILTIN, *(entry.name for entry in entries)])
    for entry in entries:
        yield entry.name if times[entry.name] == 1 else f"{entry.name}@{entry.distribution}", entry


def _disabled_by_default() -> dict[str, str]:
    """Return the names that settings and environment list, each with which of them does."""
    listed = os.environ.get(_DISABLED_VARIABLE, "").split(",")
    names = [name.strip() for name in listed if name.strip()]
    return {**dict.fromkeys(disabled_plugins(), SETTINGS_FILE), **dict.fromkeys(names, _DISABLED_VARIABLE)}


def _unknown(noun: str, name: str, names: Collection[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, names, n=3)
    guess = f"; did you mean {' or '.join(near)}?" if near else ""
    return f"no {noun} is named {name!r} (there are: {', '.join(sorted(names)) or 'none'}){guess}"


def _describe_error(error: BaseException) -> str:
    # Also safe for an exception whose own __str__ raises.
    return "".join(traceback.format_exception_only(error)).strip()
