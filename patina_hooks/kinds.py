"""The kinds of thing that plugins provide, and what makes one valid."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from patina_hooks.model_types import ModelSpec, RuntimeSpec
from patina_hooks.types import CommandSpec, ExtractorSpec, IndexBackendSpec, PairGeneratorSpec, ProjectionSpec

S = TypeVar(
    "S",
    ModelSpec,
    RuntimeSpec,
    ExtractorSpec,
    PairGeneratorSpec,
    ProjectionSpec,
    IndexBackendSpec,
    CommandSpec,
)

REFERENCE: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
"""How a spec names code: "package.module:callable"."""


@dataclass(frozen=True, slots=True)
class Kind(Generic[S]):
    """One kind of thing that plugins provide.

    reference: the spec's field that names code, "" where it names none.
    """

    noun: str
    plural: str
    hook: str
    spec: type[S]
    reference: str = ""


MODELS: Final = Kind("model", "models", "patina_register_models", ModelSpec)
RUNTIMES: Final = Kind("runtime", "runtimes", "patina_register_runtimes", RuntimeSpec, "opener")
EXTRACTORS: Final = Kind("extractor", "extractors", "patina_register_extractors", ExtractorSpec, "extract")
GENERATORS: Final = Kind(
    "pair generator", "pair_generators", "patina_register_pair_generators", PairGeneratorSpec, "generate"
)
PROJECTIONS: Final = Kind(
    "kind of projection", "projections", "patina_register_projections", ProjectionSpec, "train"
)
BACKENDS: Final = Kind(
    "index backend", "index_backends", "patina_register_index_backends", IndexBackendSpec, "opener"
)
COMMANDS: Final = Kind("command", "commands", "patina_register_commands", CommandSpec, "command")
KINDS: Final[tuple[Kind[Any], ...]] = (
    MODELS,
    RUNTIMES,
    EXTRACTORS,
    GENERATORS,
    PROJECTIONS,
    BACKENDS,
    COMMANDS,
)


def wrong_with(kind: Kind[S], spec: object, seen: Collection[str]) -> str:
    """Why `spec` cannot be taken in, "" where it can."""
    if not isinstance(spec, kind.spec):
        return f"gave {shown(spec)}; wants {kind.spec.__name__}"
    name: object = spec.name
    if not isinstance(name, str) or not name or "/" in name or name != name.strip():
        return f"{kind.noun} name {name!r}: wants a non-empty name without '/' or outer spaces"
    if name in seen:
        return f"gave the {kind.noun} {name!r} twice; the first counts"
    code = getattr(spec, kind.reference) if kind.reference else None
    if code is not None and not REFERENCE.fullmatch(str(code)):
        return f"{kind.noun} {name!r}: {kind.reference} is {code!r}; wants 'package.module:callable'"
    return ""


def shown(value: object) -> str:
    """How a message speaks of a value that a plugin gave: by its type, for its repr may be anything."""
    return f"a value of type {type(value).__name__}"
