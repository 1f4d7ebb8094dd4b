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

from patina_hooks import telemetry

if TYPE_CHECKING:
    from patina_hooks.api import Patina, open
    from patina_hooks.errors import PatinaError
    from patina_hooks.hookspecs import hookimpl
    from patina_hooks.model_types import (
        HubFile,
        LocalFile,
        ModelSpec,
        PackageFile,
        RuntimeSpec,
        TextModel,
        TokenModel,
        Tokens,
    )
    from patina_hooks.models.hub import hub_runtimes
    from patina_hooks.projection.report import Outcome, Report
    from patina_hooks.search.scry import Hit, Query
    from patina_hooks.status import Status
    from patina_hooks.types import (
        Change,
        CommandSpec,
        Commit,
        CommitUnit,
        Document,
        Extraction,
        ExtractorSpec,
        Fault,
        IndexBackendSpec,
        IndexStats,
        ModuleUnit,
        Observation,
        Omission,
        Pair,
        PairGeneratorSpec,
        PluginInfo,
        ProjectionSpec,
        Recorded,
        RepositoryPaths,
        Session,
        SessionUnit,
        VectorIndex,
    )

telemetry.disable_telemetry()

_HOME = {
    "Patina": "api",
    "Status": "status",
    "open": "api",
    "PatinaError": "errors",
    "hookimpl": "hookspecs",
    "hub_runtimes": "models.hub",
    "Hit": "search.scry",
    **dict.fromkeys(
        (
            "HubFile",
            "LocalFile",
            "ModelSpec",
            "PackageFile",
            "RuntimeSpec",
            "TextModel",
            "TokenModel",
            "Tokens",
        ),
        "model_types",
    ),
    "Outcome": "projection.report",
    "Query": "search.scry",
    "Report": "projection.report",
}

__all__ = [
    "Change",
    "CommandSpec",
    "Commit",
    "CommitUnit",
    "Document",
    "Extraction",
    "ExtractorSpec",
    "Fault",
    "Hit",
    "HubFile",
    "IndexBackendSpec",
    "IndexStats",
    "LocalFile",
    "ModelSpec",
    "ModuleUnit",
    "Observation",
    "Omission",
    "Outcome",
    "PackageFile",
    "Pair",
    "PairGeneratorSpec",
    "Patina",
    "PatinaError",
    "PluginInfo",
    "ProjectionSpec",
    "Query",
    "Recorded",
    "Report",
    "RepositoryPaths",
    "RuntimeSpec",
    "Session",
    "SessionUnit",
    "Status",
    "TextModel",
    "TokenModel",
    "Tokens",
    "VectorIndex",
    "hookimpl",
    "hub_runtimes",
    "open",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME.get(name, 'types')}"), name)
