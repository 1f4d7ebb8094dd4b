"""patina-hooks: a repository that remembers.

    import patina_hooks

    with patina_hooks.open(".") as patina:
        patina.sync()
        for hit in patina.search("why sqlite"):
            print(hit.score, hit.text)

Names are opened on first use: hooks import this package, which must stay light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from patina_hooks.system import telemetry

if TYPE_CHECKING:
    from patina_hooks.api import Patina, open
    from patina_hooks.errors import PatinaError
    from patina_hooks.models.files.hub import hub_runtimes
    from patina_hooks.plugins.hookspecs import hookimpl
    from patina_hooks.search.query import Hit, Query
    from patina_hooks.specs.models import (
        HubFile,
        LocalFile,
        ModelSpec,
        PackageFile,
        RuntimeSpec,
        TextModel,
        TokenModel,
        Tokens,
    )
    from patina_hooks.specs.plugins import (
        CommandSpec,
        CommitScope,
        ExtractorSpec,
        IndexBackendSpec,
        ModuleScope,
        PairGeneratorSpec,
        PluginInfo,
        ProjectionSpec,
        RecordedError,
        SessionScope,
    )
    from patina_hooks.specs.reports import Outcome, Report
    from patina_hooks.specs.retrieval import (
        FilterSpec,
        QueryRewriterSpec,
        RankedGroup,
        RerankerSpec,
        RetrieverSpec,
        View,
        VisibleObservation,
    )
    from patina_hooks.specs.sources import DocumentFacts, SourceSpec
    from patina_hooks.specs.values import (
        Change,
        Commit,
        Document,
        Extraction,
        Observation,
        Omission,
        Pair,
        Recorded,
        RepositoryPaths,
        Session,
    )
    from patina_hooks.specs.vectors import IndexStats, VectorIndex
    from patina_hooks.upkeep.status import Status

telemetry.disable_telemetry()

_HOME = {
    "Patina": "api",
    "Status": "upkeep.status",
    "open": "api",
    "PatinaError": "errors",
    "hookimpl": "plugins.hookspecs",
    "hub_runtimes": "models.files.hub",
    "Hit": "search.query",
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
        "specs.models",
    ),
    **dict.fromkeys(
        (
            "FilterSpec",
            "QueryRewriterSpec",
            "RankedGroup",
            "RerankerSpec",
            "RetrieverSpec",
            "View",
            "VisibleObservation",
        ),
        "specs.retrieval",
    ),
    "ExtractorSpec": "specs.plugins",
    "SessionScope": "specs.plugins",
    "CommitScope": "specs.plugins",
    "ModuleScope": "specs.plugins",
    "PairGeneratorSpec": "specs.plugins",
    "ProjectionSpec": "specs.plugins",
    "IndexBackendSpec": "specs.plugins",
    "CommandSpec": "specs.plugins",
    "RecordedError": "specs.plugins",
    "PluginInfo": "specs.plugins",
    "IndexStats": "specs.vectors",
    "VectorIndex": "specs.vectors",
    "Outcome": "specs.reports",
    "DocumentFacts": "specs.sources",
    "SourceSpec": "specs.sources",
    "Query": "search.query",
    "Report": "specs.reports",
}

__all__ = [
    "Change",
    "CommandSpec",
    "Commit",
    "CommitScope",
    "Document",
    "DocumentFacts",
    "Extraction",
    "ExtractorSpec",
    "FilterSpec",
    "Hit",
    "HubFile",
    "IndexBackendSpec",
    "IndexStats",
    "LocalFile",
    "ModelSpec",
    "ModuleScope",
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
    "QueryRewriterSpec",
    "RankedGroup",
    "Recorded",
    "RecordedError",
    "Report",
    "RepositoryPaths",
    "RerankerSpec",
    "RetrieverSpec",
    "RuntimeSpec",
    "Session",
    "SessionScope",
    "SourceSpec",
    "Status",
    "TextModel",
    "TokenModel",
    "Tokens",
    "VectorIndex",
    "View",
    "VisibleObservation",
    "hookimpl",
    "hub_runtimes",
    "open",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME.get(name, 'specs.values')}"), name)
