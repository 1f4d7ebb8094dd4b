"""What patina itself provides, registered like a plugin."""

from __future__ import annotations

from collections.abc import Iterator
from pkgutil import resolve_name

from patina_hooks.plugins.hookspecs import hookimpl
from patina_hooks.specs.models import ModelSpec
from patina_hooks.specs.plugins import (
    ExtractorSpec,
    IndexBackendSpec,
    PairGeneratorSpec,
    PairScopeKind,
    ProjectionSpec,
)
from patina_hooks.specs.retrieval import USUAL_WEIGHTS, RetrieverSpec
from patina_hooks.specs.sources import DOCS, HISTORY, NOT_PROSE, PROSE, SESSIONS, SourceSpec

_GENERATORS: tuple[tuple[str, PairScopeKind, str], ...] = (
    ("same_session", "session", ""),
    ("goal_observation", "session", "goals of session {scope}"),
    ("commit_session", "session", "commit {commit} in the tag range of session {scope}"),
    ("context_session", "session", "session {scope} on the session before it"),
    ("co_changed", "commit", "changed together in commit {scope}"),
    ("commit_files", "commit", "changed in commit {scope}"),
    ("same_module", "module", "files of the folder {scope}/"),
)


@hookimpl
def patina_register_models() -> Iterator[ModelSpec]:
    """Yield the models of models.toml; an error in it is recorded like a plugin's."""
    # By name: imported only when models are needed, and the package is above this one.
    yield from resolve_name("patina_hooks.models.catalog.user:user_models")()


@hookimpl
def patina_register_sources() -> Iterator[SourceSpec]:
    yield SourceSpec("commit", 1, HISTORY, "messages")
    yield SourceSpec(
        "session", 1, HISTORY,
        include=(f"/{SESSIONS}/*.md",), trees="refs",
        drafts=(".patina/local/active/*.md", f"{SESSIONS}/*.md"),
        describe="patina_hooks.extract.session_source:describe_session_path",
    )  # fmt: skip
    yield SourceSpec(
        "prose", 1, DOCS,
        include=(PROSE,), exclude=(NOT_PROSE, f"/{SESSIONS}/"), largest=1 << 20,
        describe="patina_hooks.extract.prose_source:describe_prose_path",
    )  # fmt: skip


@hookimpl
def patina_register_extractors() -> Iterator[ExtractorSpec]:
    yield ExtractorSpec("session", 3, "session", "patina_hooks.extract.session_reader:extract_session")
    yield ExtractorSpec("commit", 3, "commit", "patina_hooks.extract.commit_reader:extract_commit")
    yield ExtractorSpec("prose", 1, "prose", "patina_hooks.extract.prose:extract_prose")


@hookimpl
def patina_register_pair_generators() -> Iterator[PairGeneratorSpec]:
    for name, scope, evidence in _GENERATORS:
        yield PairGeneratorSpec(name, 1, f"patina_hooks.pairs.generators:{name}", scope, evidence)


@hookimpl
def patina_register_projections() -> Iterator[ProjectionSpec]:
    for name, hidden in (("whitening", 0), ("mlp", 1024), ("residual", 512)):
        yield ProjectionSpec(name, 1, f"patina_hooks.training.trainers.{name}:train", hidden)


@hookimpl
def patina_register_index_backends() -> Iterator[IndexBackendSpec]:
    yield IndexBackendSpec("exact", "patina_hooks.search.index.exact:ExactIndex")
    yield IndexBackendSpec("short", "patina_hooks.search.index.short:ShortIndex", approximate=True, short=256)


@hookimpl
def patina_register_retrievers() -> Iterator[RetrieverSpec]:
    """Yield the built-in retrievers, in the order in which they are asked."""
    for name, weight in USUAL_WEIGHTS.items():
        search = f"patina_hooks.search.retrieval.builtin:search_{name}s"
        yield RetrieverSpec(name, search, weight, vectors=name == "vector")
