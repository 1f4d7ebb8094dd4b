"""The hooks of the pluggy project "patina": what a plugin may implement.

Register hooks return an iterable of frozen specs (a list, a tuple, or a generator). They are called at
most once, when something first asks for what they provide. A spec names its code as
"package.module:callable", opened on first use, so that a plugin module imports nothing heavy.

Event hooks return None. They are called after the transaction that they speak of, with no lock held, one
plugin after the other, those of one plugin in one thread that is not the main one. A call that takes longer
than ten seconds is left to itself: it is recorded as a fault, and its plugin gets no more events from that
process. What a hook raises is recorded as a fault too and stops neither the others nor patina. Each event is
delivered at most once: a process that is killed before the call does not deliver it later. What must not be
missed is read from the log (`patina_hooks.Patina`). An implementation takes only the arguments that it
wants, by name; `repository` says which repository the event is about.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from patina_hooks.specs.models import ModelSpec, RuntimeSpec
    from patina_hooks.specs.plugins import (
        CommandSpec,
        ExtractorSpec,
        IndexBackendSpec,
        PairGeneratorSpec,
        ProjectionSpec,
    )
    from patina_hooks.specs.reports import Outcome, Report
    from patina_hooks.specs.retrieval import FilterSpec, QueryRewriterSpec, RerankerSpec, RetrieverSpec
    from patina_hooks.specs.sources import SourceSpec
    from patina_hooks.specs.values import Commit, Document, Pair, Recorded, RepositoryPaths, Session

PROJECT = "patina"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


# --- register hooks -----------------------------------------------------------------------------


@hookspec
def patina_register_models() -> Iterable[ModelSpec]:
    """Models: weights in an installed package, and how to use them.

    Called when a recipe or command first names a model.

    >>> from patina_hooks import ModelSpec, PackageFile, hookimpl
    >>> @hookimpl
    ... def patina_register_models():
    ...     files = {role: PackageFile("patina-acme", f"patina_acme/{name}")
    ...              for role, name in [("model", "model.onnx"), ("tokenizer", "tokenizer.json")]}
    ...     yield ModelSpec("acme-64", dimensions=64, runtimes={"onnx": files}, query_prefix="query: ")
    >>> [model.name for model in patina_register_models()]
    ['acme-64']
    """
    raise NotImplementedError


@hookspec
def patina_register_runtimes() -> Iterable[RuntimeSpec]:
    """Runtimes: what opens a model's files and runs them.

    Called when a model is first opened, and by `patina plugins`.

    >>> from patina_hooks import RuntimeSpec, hookimpl
    >>> @hookimpl
    ... def patina_register_runtimes():
    ...     return [RuntimeSpec("acme", factory="patina_acme.runtime:open_model", modules=("acme_engine",))]
    >>> patina_register_runtimes()[0].modules
    ('acme_engine',)
    """
    raise NotImplementedError


@hookspec
def patina_register_sources() -> Iterable[SourceSpec]:
    """Sources: kinds of documents, and where in the repository they are.

    Called when a sync first looks for documents, and before extractors are registered. A kind has one source;
    a file that several sources include belongs to the first that accepts it, those of plugins first.

    >>> from patina_hooks import SourceSpec, hookimpl
    >>> @hookimpl
    ... def patina_register_sources():
    ...     yield SourceSpec("adr", version=1, collection="docs", include=("docs/adr/*.md",))
    >>> next(iter(patina_register_sources())).include
    ('docs/adr/*.md',)
    """
    raise NotImplementedError


@hookspec
def patina_register_extractors() -> Iterable[ExtractorSpec]:
    """Extractors: from a document to observations, a pure function of the document.

    Called when a sync first reads a document. Every extractor that reads a document's kind is run.

    >>> from patina_hooks import ExtractorSpec, hookimpl
    >>> @hookimpl
    ... def patina_register_extractors():
    ...     yield ExtractorSpec("tickets", 1, document_kind="commit", extract="patina_acme.tickets:extract")
    >>> next(iter(patina_register_extractors())).document_kind
    'commit'
    """
    raise NotImplementedError


@hookspec
def patina_register_pair_generators() -> Iterable[PairGeneratorSpec]:
    """Pair generators: from one session, commit or folder to pairs of observations and paths in it.

    Called when a sync first makes pairs. Every generator runs on each scope that is new or has changed; a new
    generator or version runs on all scopes. A generator is a pure function of its scope: its pairs of a scope
    are stored together, or none of them where it raises or yields an invalid pair.

    >>> from patina_hooks import PairGeneratorSpec, hookimpl
    >>> @hookimpl
    ... def patina_register_pair_generators():
    ...     yield PairGeneratorSpec(
    ...         "same-ticket", version=1, generate="patina_acme.tickets:pairs", scope="session",
    ...         evidence="one ticket in session {scope}",
    ...     )
    >>> next(iter(patina_register_pair_generators())).name
    'same-ticket'
    """
    raise NotImplementedError


@hookspec
def patina_register_projections() -> Iterable[ProjectionSpec]:
    """Kinds of projection: what a recipe's `type` names, each with its trainer.

    Called when `patina oxidize` first looks for a trainer, or an index of projected vectors is opened. What
    a trainer is given and gives back is `patina_hooks.specs.training`.

    >>> from patina_hooks import ProjectionSpec, hookimpl
    >>> @hookimpl
    ... def patina_register_projections():
    ...     yield ProjectionSpec("rotation", version=1, train="patina_acme.rotation:train")
    >>> next(iter(patina_register_projections())).name
    'rotation'
    """
    raise NotImplementedError


@hookspec
def patina_register_index_backends() -> Iterable[IndexBackendSpec]:
    """Index backends: where vectors are kept and searched (`patina_hooks.VectorIndex`).

    Called when an index is first opened.

    >>> from patina_hooks import IndexBackendSpec, hookimpl
    >>> @hookimpl
    ... def patina_register_index_backends():
    ...     yield IndexBackendSpec("acme-tree", factory="patina_acme.tree:open_index")
    >>> next(iter(patina_register_index_backends())).name
    'acme-tree'
    """
    raise NotImplementedError


@hookspec
def patina_register_retrievers() -> Iterable[RetrieverSpec]:
    """Retrievers: search signals, each a share of the fused answer.

    Called when a question is first asked. Every retriever is asked; `patina eval` measures each by itself and
    in the fused answer. What a view offers is `patina_hooks.specs.retrieval.View`.

    >>> from patina_hooks import RetrieverSpec, hookimpl
    >>> @hookimpl
    ... def patina_register_retrievers():
    ...     yield RetrieverSpec("tickets", search="patina_acme.tickets:search", weight=0.2)
    >>> next(iter(patina_register_retrievers())).weight
    0.2
    """
    raise NotImplementedError


@hookspec
def patina_register_query_rewriters() -> Iterable[QueryRewriterSpec]:
    """Query rewriters: from a question to the one that is looked up.

    Used only where a recipe or `patina scry --rewriter` names them.

    >>> from patina_hooks import QueryRewriterSpec, hookimpl
    >>> @hookimpl
    ... def patina_register_query_rewriters():
    ...     yield QueryRewriterSpec("synonyms", rewrite="patina_acme.synonyms:rewrite")
    >>> next(iter(patina_register_query_rewriters())).name
    'synonyms'
    """
    raise NotImplementedError


@hookspec
def patina_register_rerankers() -> Iterable[RerankerSpec]:
    """Rerankers: a new order of the best candidates.

    Used only where a recipe or `patina scry --reranker` names them.

    >>> from patina_hooks import RerankerSpec, hookimpl
    >>> @hookimpl
    ... def patina_register_rerankers():
    ...     yield RerankerSpec("cross", rerank="patina_acme.cross:rerank", pool=20)
    >>> next(iter(patina_register_rerankers())).pool
    20
    """
    raise NotImplementedError


@hookspec
def patina_register_filters() -> Iterable[FilterSpec]:
    """Filters of results: which candidates may be answers.

    Used only where a recipe or `patina scry --filter` names them.

    >>> from patina_hooks import FilterSpec, hookimpl
    >>> @hookimpl
    ... def patina_register_filters():
    ...     yield FilterSpec("no-reverts", keep="patina_acme.reverts:keep")
    >>> next(iter(patina_register_filters())).name
    'no-reverts'
    """
    raise NotImplementedError


@hookspec
def patina_register_commands() -> Iterable[CommandSpec]:
    """Commands under `patina`: click commands, opened when they are called.

    Called when the command line names no built-in command, and by `patina --help`.

    >>> from patina_hooks import hookimpl
    >>> from patina_hooks import CommandSpec
    >>> @hookimpl
    ... def patina_register_commands():
    ...     yield CommandSpec("tickets", help="List tickets by session.", command="patina_acme.cli:tickets")
    >>> next(iter(patina_register_commands())).help
    'List tickets by session.'
    """
    raise NotImplementedError


# --- event hooks --------------------------------------------------------------------------------


@hookspec
def patina_session_started(session: Session, repository: RepositoryPaths) -> None:
    """A session is new to the log: just started here, or found at a sync.

    >>> from patina_hooks import hookimpl
    >>> @hookimpl
    ... def patina_session_started(session):
    ...     print(f"{session.id}: {session.title}")
    """


@hookspec
def patina_session_ended(session: Session, commits: Sequence[Commit], repository: RepositoryPaths) -> None:
    """The end of a session is new to the log; `commits` lie between its tags, oldest first.

    >>> from patina_hooks import hookimpl
    >>> @hookimpl
    ... def patina_session_ended(session, commits):
    ...     print(f"{session.title}: {len(commits)} commits")
    """


@hookspec
def patina_commit_recorded(
    commit: Commit, documents: Sequence[Document], repository: RepositoryPaths
) -> None:
    """A commit is new to the log, with the documents that it brought (its message is the first).

    Commits are told of oldest first; of sessions before them that they began, after them that they ended.

    >>> from patina_hooks import hookimpl
    >>> @hookimpl
    ... def patina_commit_recorded(commit):  # takes only what it wants
    ...     print(commit.oid[:10], commit.subject)
    """


@hookspec
def patina_observations_changed(
    added: Sequence[Recorded], removed: Sequence[Recorded], repository: RepositoryPaths
) -> None:
    """Observations joined or left the corpus. Called once a sync that changed any, or
    for each thousand.

    >>> from patina_hooks import hookimpl
    >>> @hookimpl
    ... def patina_observations_changed(added, removed):
    ...     print(f"+{len(added)} -{len(removed)}")
    """


@hookspec
def patina_pairs_extracted(pairs: Sequence[Pair], repository: RepositoryPaths) -> None:
    """Pairs joined the corpus. Called once a sync that made any, or for each thousand.

    >>> from patina_hooks import hookimpl
    >>> @hookimpl
    ... def patina_pairs_extracted(pairs):
    ...     print(sorted({pair.kind for pair in pairs}))
    """


@hookspec
def patina_projection_trained(projection: Outcome, report: Report, repository: RepositoryPaths) -> None:
    """A projection was trained and judged. Called for each one, once a run of `patina oxidize` is over.

    projection: what became of it (`patina_hooks.specs.reports`); report: the whole run.

    >>> from patina_hooks import hookimpl
    >>> @hookimpl
    ... def patina_projection_trained(projection, report):
    ...     print(f"{projection.name}: {report.sentence}")
    """


@hookspec
def patina_embeddings_updated(model: str, added: int, removed: int, repository: RepositoryPaths) -> None:
    """The index of `model` gained and lost so many texts. Called once a sync that changed it.

    >>> from patina_hooks import hookimpl
    >>> @hookimpl
    ... def patina_embeddings_updated(model, added):
    ...     print(f"{model}: {added} new vectors")
    """
