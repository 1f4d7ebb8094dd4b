"""Status: what is indexed, how stale it is, and warnings about the model and the projection in use."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from patina_hooks.config.configuration import load_configuration
from patina_hooks.errors import PatinaError
from patina_hooks.git.hook_files import INSTALL
from patina_hooks.git.hook_script import recorded_interpreter
from patina_hooks.git.hooks import can_repair, unsound_hooks
from patina_hooks.git.repository import Repository
from patina_hooks.models.provenance import KeptProvider, kept_providers
from patina_hooks.pairs.stored import PairKind, pair_kinds
from patina_hooks.plugins.manager import Plugins
from patina_hooks.plugins.running_calls import RunningCall, running_calls
from patina_hooks.search.index.spaces import VectorSpace, active_space, requested_space
from patina_hooks.search.remarks.refused import refused_texts
from patina_hooks.search.stored_weights import (
    describe_unknown_retrievers,
    describe_unused_weights,
    find_unknown_retrievers,
    find_usable_weights,
)
from patina_hooks.specs.plugins import RecordedError
from patina_hooks.store.collections import collection_folder, stored_collections
from patina_hooks.store.corpus.texts import count_live_texts
from patina_hooks.store.embeddings import read_cut_keys, read_refused_keys
from patina_hooks.store.facts import CollectionFacts, CorpusFacts, list_partly_read, list_skipped
from patina_hooks.store.log import Log
from patina_hooks.store.recorded_faults import read_recorded_faults
from patina_hooks.system.files import folder_size
from patina_hooks.training.staleness import ProjectionStatus, read_projection_status
from patina_hooks.upkeep.environments import (
    list_version_differences,
    load_background_environment,
    read_own_environment,
)

if TYPE_CHECKING:
    from patina_hooks.config.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Status:
    """What is indexed and how stale it is.

    events_hash: see `patina_hooks.store.facts`.
    pair_kinds: kind -> count, weight and time range of its pairs.
    pending: texts that the vector index does not have yet.
    cut: texts that are longer than the model reads; their beginnings have a vector.
    model, runtime: those in use, "" before the first vectors.
    variant: the effect of the user's settings on the runtime's vectors, see `RuntimeSpec`.
    projection: the one in use, "none" for the raw model.
    stale: (projection, reason) of those that `patina oxidize` would train again.
    warnings: about hooks, the projection in use and tuned weights, each with a command.
    synced: seconds since 1970 of the last sync, None before the first.
    bytes: the state on disk.
    skipped: (location, reason) of texts that were not read, or not to their ends.
    calls: calls of plugins that have not returned for a second or more.
    kept: absent extractors and pair generators whose results stay.
    collections: those other than history, by name.
    """

    events_hash: str
    sessions: int
    commits: int
    documents: int
    drafts: int
    observations: int
    pairs: int
    pair_kinds: Mapping[str, PairKind]
    pending: int
    cut: int
    truncated: int
    model: str
    runtime: str
    variant: str
    projection: str
    stale: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]
    synced: int | None
    bytes: int
    skipped: tuple[tuple[str, str], ...]
    faults: tuple[RecordedError, ...]
    calls: tuple[RunningCall, ...]
    kept: tuple[KeptProvider, ...]
    collections: Mapping[str, CollectionFacts]


def build_status(log: Log, repository: Repository, plugins: Plugins, facts: CorpusFacts) -> Status:
    """Build the status of one view of the log. facts: the counts of that view."""
    space = active_space(log)
    configuration = load_configuration(repository)
    projection = _read_projection(repository, configuration.recipe, plugins, space, facts.events_hash)
    of_configuration = [(remark, "git status") for remark in configuration.remarks]
    warnings = [
        *projection.warnings, *_warn_of_weights(repository, plugins, space), *of_configuration,
        *_warn_of_hooks(repository), *_warn_of_background(log, repository, plugins),
    ]  # fmt: skip
    stored = list(_collections(repository))
    return Status(
        events_hash=facts.events_hash,
        model=space.model if space else "",
        runtime=space.runtime if space else "",
        variant=space.variant if space else "",
        projection=projection.name,
        stale=projection.stale,
        warnings=tuple(f"{message}; {command}" for message, command in warnings),
        pair_kinds=pair_kinds(log.connection),
        cut=_count_cut(log, repository, space) if space else 0,
        synced=log.number("synced"),
        bytes=folder_size(repository.state),
        skipped=(
            *list_skipped(log.connection),
            *(row for _, _, rows in stored for row in rows),
            *_list_refused(log, repository, space),
            *_list_submodules(repository),
        ),
        faults=tuple(dict.fromkeys([*read_recorded_faults(log), *plugins.faults])),
        calls=running_calls(repository.state),
        kept=kept_providers(log, plugins),
        collections={name: facts for name, facts, _ in stored},
        **facts.counts,
    )


def _collections(
    repository: Repository,
) -> Iterator[tuple[str, CollectionFacts, list[tuple[str, str]]]]:
    """Yield each collection other than history with its facts and the files that were not read."""
    for name in stored_collections(repository.state):
        folder = collection_folder(repository.state, name)
        with Log(folder, create=False) as log, log.reading() as connection:
            yield name, CollectionFacts.read(connection), list_partly_read(connection)


def _read_projection(
    repository: Repository, recipe: Recipe | None, plugins: Plugins, space: VectorSpace | None, events: str
) -> ProjectionStatus:
    """Return the status of projections, with a warning about a pending switch of models."""
    used = space.projection if space else ""
    try:
        requested = requested_space(plugins, recipe, repository.state) if recipe else None
        status = read_projection_status(plugins, recipe, repository.state, events, requested, used)
    except PatinaError as error:
        return ProjectionStatus(used[:16] or "none", (), ((str(error), error.hint or "patina doctor"),))
    if space and requested and requested.fingerprint != space.fingerprint:
        message = (
            f"the recipe requests {requested.model} in {requested.runtime}:"
            f" {space.model} in {space.runtime} answers until its vectors are complete"
        )
        return replace(status, warnings=(*status.warnings, (message, "patina sync")))
    return status


def _list_submodules(repository: Repository) -> Iterator[tuple[str, str]]:
    """Yield the submodules of HEAD: their commits belong to repositories of their own."""
    for path in repository.submodules():
        yield path, "a submodule has an index of its own; try: patina init there"


def _warn_of_hooks(repository: Repository) -> Iterator[tuple[str, str]]:
    """Yield errors of installed hooks, each with the command or the edit that corrects it."""
    by_remedy: dict[tuple[str, str], list[str]] = {}
    for hook in unsound_hooks(repository):
        repairable = hook.remedy == INSTALL and not hook.enabled and can_repair(repository)
        remedy = "patina sync" if repairable else hook.remedy
        by_remedy.setdefault((hook.note, remedy), []).append(hook.event)
    for (note, command), events in by_remedy.items():
        reason = note or "another tool removed them: commits wait for the next command"
        yield f"hooks {', '.join(events)}: {reason}", command


def _warn_of_background(log: Log, repository: Repository, plugins: Plugins) -> Iterator[tuple[str, str]]:
    """Yield a warning if the hooks run an interpreter with other plugins, by its last sync."""
    background, hooks = load_background_environment(log), recorded_interpreter(repository.state)
    if background is None or hooks in (None, sys.executable) or background.interpreter == sys.executable:
        return
    if differences := list_version_differences(read_own_environment(plugins).versions, background.versions):
        message = f"the last sync in the background ran {background.interpreter} with other plugins"
        yield f"{message}: {', '.join(differences)}", INSTALL


def _warn_of_weights(
    repository: Repository, plugins: Plugins, space: VectorSpace | None
) -> Iterator[tuple[str, str]]:
    """Yield remarks on tuned weights of search, each with the command that corrects it."""
    tuned, reason = find_usable_weights(repository.state, space) if space else (None, "")
    if reason:
        yield describe_unused_weights(reason), "patina eval --tune"
    names = [spec.name for spec in plugins.retrievers()] if tuned else []
    if tuned and (unknown := find_unknown_retrievers(tuned.weights, names)):
        yield describe_unknown_retrievers(unknown), "patina eval --tune"


def _list_refused(log: Log, repository: Repository, space: VectorSpace | None) -> Iterator[tuple[str, str]]:
    """Yield (location, reason) of the texts that the model in use refused."""
    keys = read_refused_keys(repository.state, space.fingerprint) if space else {}
    for location, reason in refused_texts(log.connection, keys):
        yield location, f"it has no vector: {reason}; patina sync --full tries it again"


def _count_cut(log: Log, repository: Repository, space: VectorSpace) -> int:
    """Return the number of live texts that the model did not read to their ends."""
    return count_live_texts(log.connection, read_cut_keys(repository.state, space.fingerprint))
