"""What patina itself provides, as a plugin like any other."""

from __future__ import annotations

from collections.abc import Iterator

from patina_hooks.hookspecs import hookimpl
from patina_hooks.types import ExtractorSpec, IndexBackendSpec, PairGeneratorSpec


@hookimpl
def patina_register_extractors() -> Iterator[ExtractorSpec]:
    yield ExtractorSpec("session", 1, "session", "patina_hooks.corpus.session_reader:read_session")
    yield ExtractorSpec("commit", 1, "commit", "patina_hooks.corpus.commit_reader:read_commit")


@hookimpl
def patina_register_pair_generators() -> Iterator[PairGeneratorSpec]:
    for name in ("same_session", "goal_observation", "commit_session"):
        yield PairGeneratorSpec(name, 1, f"patina_hooks.pairs.generators:{name}")


@hookimpl
def patina_register_index_backends() -> Iterator[IndexBackendSpec]:
    yield IndexBackendSpec("exact", "patina_hooks.search.exact:ExactIndex")
