"""The kinds of specs that plugins provide, and their validation."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from patina_hooks.specs.models import ModelSpec, RuntimeSpec
from patina_hooks.specs.plugins import (
    CommandSpec,
    ExtractorSpec,
    IndexBackendSpec,
    PairGeneratorSpec,
    ProjectionSpec,
)
from patina_hooks.specs.retrieval import (
    USUAL_WEIGHTS,
    FilterSpec,
    QueryRewriterSpec,
    RerankerSpec,
    RetrieverSpec,
)
from patina_hooks.specs.sources import SourceSpec

S = TypeVar(
    "S",
    ModelSpec,
    RuntimeSpec,
    SourceSpec,
    ExtractorSpec,
    PairGeneratorSpec,
    ProjectionSpec,
    IndexBackendSpec,
    RetrieverSpec,
    QueryRewriterSpec,
    RerankerSpec,
    FilterSpec,
    CommandSpec,
)

REFERENCE: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
"""How a spec names code: "package.module:callable"."""


_COMMAND_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]*", re.ASCII)
BUILTIN_COMMANDS: Final = frozenset(
    (
        *("init", "session", "scry", "status", "sync", "pairs", "oxidize", "eval", "log", "doctor"),
        *("models", "plugins", "install", "uninstall", "gc", "check", "hook"),
    )
)
"""The built-in commands; no plugin can use these names."""


@dataclass(frozen=True, slots=True)
class Kind(Generic[S]):
    """One kind of spec that plugins provide.

    references: the spec's fields that name code; an empty one names none.
    """

    noun: str
    plural: str
    hook: str
    spec: type[S]
    references: tuple[str, ...] = ()


MODELS: Final = Kind("model", "models", "patina_register_models", ModelSpec)
RUNTIMES: Final = Kind("runtime", "runtimes", "patina_register_runtimes", RuntimeSpec, ("factory",))
SOURCES: Final = Kind("source", "sources", "patina_register_sources", SourceSpec, ("accepts", "describe"))
EXTRACTORS: Final = Kind("extractor", "extractors", "patina_register_extractors", ExtractorSpec, ("extract",))
GENERATORS: Final = Kind(
    "pair generator", "pair_generators", "patina_register_pair_generators", PairGeneratorSpec, ("generate",)
)
PROJECTIONS: Final = Kind(
    "kind of projection", "projections", "patina_register_projections", ProjectionSpec, ("train",)
)
BACKENDS: Final = Kind(
    "index backend", "index_backends", "patina_register_index_backends", IndexBackendSpec, ("factory",)
)
RETRIEVERS: Final = Kind("retriever", "retrievers", "patina_register_retrievers", RetrieverSpec, ("search",))
REWRITERS: Final = Kind(
    "query rewriter", "query_rewriters", "patina_register_query_rewriters", QueryRewriterSpec, ("rewrite",)
)
RERANKERS: Final = Kind("reranker", "rerankers", "patina_register_rerankers", RerankerSpec, ("rerank",))
FILTERS: Final = Kind("filter", "filters", "patina_register_filters", FilterSpec, ("keep",))
COMMANDS: Final = Kind("command", "commands", "patina_register_commands", CommandSpec, ("command",))
KINDS: Final[tuple[Kind[Any], ...]] = (
    MODELS,
    RUNTIMES,
    SOURCES,
    EXTRACTORS,
    GENERATORS,
    PROJECTIONS,
    BACKENDS,
    RETRIEVERS,
    REWRITERS,
    RERANKERS,
    FILTERS,
    COMMANDS,
)


def is_provided(name: str, specs: Iterable[ExtractorSpec | PairGeneratorSpec]) -> bool:
    """Return whether a spec has this name; both may be written with or without their plugin."""
    plain = name.rpartition("/")[2]
    return any(spec.name.rpartition("/")[2] == plain for spec in specs)


def find_problem(kind: Kind[S], spec: object, names: Collection[str], *, is_builtin: bool = False) -> str:
    """Return why a spec cannot be registered, "" where it can."""
    if not isinstance(spec, kind.spec):
        return f"gave {describe_type(spec)}; expected {kind.spec.__name__}"
    name: object = spec.name
    if not isinstance(name, str) or not name or "/" in name or name != name.strip():
        return f"{kind.noun} name {name!r}: expected a non-empty name without '/' or outer spaces"
    if not is_builtin and (problem := _find_name_problem(kind, name)):
        return problem
    if name in names:
        return f"gave the {kind.noun} {name!r} twice; the first is used"
    for field in kind.references:
        code = getattr(spec, field)
        if not REFERENCE.fullmatch(str(code)) and (code or kind.spec is not SourceSpec):
            return f"{kind.noun} {name!r}: {field} is {code!r}; expected 'package.module:callable'"
    return ""


_UNKNOWN_FIELD: Final = re.compile(r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'.*")
_RENAMED_FIELDS: Final = {
    ("ExtractorSpec", "reads"): "document_kind",
    ("PairGeneratorSpec", "reads"): "scope",
    ("RuntimeSpec", "opener"): "factory",
    ("RuntimeSpec", "gives"): "output",
    ("IndexBackendSpec", "opener"): "factory",
    ("ModelSpec", "one_by_one"): "unbatched_runtimes",
}
"""Fields of 0.1.0 -> their names now."""


def renamed_field(error: BaseException) -> str:
    """Return the present name of a spec's field of 0.1.0 that the error is about, "" for other errors."""
    match = _UNKNOWN_FIELD.match(str(error)) if isinstance(error, TypeError) else None
    return _RENAMED_FIELDS.get((match[1], match[2]), "") if match else ""


def _find_name_problem(kind: Kind[S], name: str) -> str:
    """Return why a plugin cannot have a name, "" where it can."""
    builtin = {CommandSpec: BUILTIN_COMMANDS, RetrieverSpec: USUAL_WEIGHTS}.get(kind.spec, ())
    if name in builtin:
        return f"{kind.noun} name {name!r} is that of a built-in {kind.noun}; it is left out"
    if kind.spec is CommandSpec and not _COMMAND_NAME.fullmatch(name):
        return f"command name {name!r}: expected lower-case letters, digits, '-', '_' and '.'"
    return ""


def describe_type(value: object) -> str:
    """Describe a value of a plugin by its type, since its repr may be anything."""
    return f"a value of type {type(value).__name__}"
