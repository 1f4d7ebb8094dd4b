"""patina-hooks: a repository that remembers.

    import patina_hooks

    with patina_hooks.open(".") as patina:
        patina.sync()
        for hit in patina.search("why sqlite"):
            print(hit.score, hit.text)

Names are opened on first use: the hook path imports this package and must stay as light as it is.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from patina_hooks.api import Patina, Status, open
    from patina_hooks.errors import PatinaError
    from patina_hooks.hookspecs import hookimpl
    from patina_hooks.search.scry import Hit, Query
    from patina_hooks.types import (
        Change,
        CommandSpec,
        Commit,
        Document,
        Extraction,
        ExtractorSpec,
        Fault,
        IndexBackendSpec,
        IndexStats,
        ModelSpec,
        Observation,
        Omission,
        PackageFile,
        Pair,
        PairGeneratorSpec,
        PluginInfo,
        Recorded,
        RuntimeSpec,
        Session,
        SessionUnit,
        TokenModel,
        Tokens,
        VectorIndex,
    )

_HOME = {
    "Patina": "api",
    "Status": "api",
    "open": "api",
    "PatinaError": "errors",
    "hookimpl": "hookspecs",
    "Hit": "search.scry",
    "Query": "search.scry",
}

__all__ = [
    "Change",
    "CommandSpec",
    "Commit",
    "Document",
    "Extraction",
    "ExtractorSpec",
    "Fault",
    "Hit",
    "IndexBackendSpec",
    "IndexStats",
    "ModelSpec",
    "Observation",
    "Omission",
    "PackageFile",
    "Pair",
    "PairGeneratorSpec",
    "Patina",
    "PatinaError",
    "PluginInfo",
    "Query",
    "Recorded",
    "RuntimeSpec",
    "Session",
    "SessionUnit",
    "Status",
    "TokenModel",
    "Tokens",
    "VectorIndex",
    "hookimpl",
    "open",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME.get(name, 'types')}"), name)
