"""The hooks of the pluggy project "patina": what a plugin may implement.

Register hooks return an iterable of frozen specs (a list, a tuple, or a generator). They are called at
most once, when their specs are first needed. A spec names its code as
"package.module:callable", opened on first use, so that a plugin module imports nothing heavy.

Event hooks return None. They are called after the transaction of the event, with no lock held, one plugin
after the other, those of one plugin in one thread that is not the main one. A call that takes longer than
ten seconds is abandoned: it is recorded as an error, and its plugin gets no more events from that process.
An exception of a hook is recorded as an error too and stops neither other hooks nor patina. Each event is
delivered at most once: a process that is killed before the call does not deliver it later. Plugins that must
not miss events read the log (`patina_hooks.Patina`). An implementation takes only the arguments that it
needs, by name; `repository` is the repository of the event.
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
"""Marks a function as the implementation of the hook of its name."""


# --- register hooks -----------------------------------------------------------------------------


@hookspec
def patina_register_models() -> Iterable[ModelSpec]:
    """Register models: weights in an installed package, and how to use them.

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
    """Register runtimes, which open a model's files and run them.

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
    """Register sources: kinds of documents, and where in the repository they are.

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
    """Register extractors, pure functions from a document to observations.

    Called when a sync first reads a document. Every extractor of the document's kind runs.

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
    """Register pair generators, from a session, commit or folder to pairs of its observations and paths.

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
    """Register kinds of projection, which a recipe's `type` names, each with its trainer.

    Called when `patina oxidize` first looks for a trainer, or an index of projected vectors is opened. The
    interface of trainers is `patina_hooks.specs.training`.

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
    """Register index backends, which store and search vectors (`patina_hooks.VectorIndex`).

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
    """Register retrievers: search signals, each a share of the fused answer.

    Called when a question is first asked. Every retriever is asked; `patina eval` measures each by itself and
    in the fused answer. The interface of a view is `patina_hooks.specs.retrieval.View`.

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
    """Register query rewriters, from a question to the one to search for.

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
    """Register rerankers, which reorder the best candidates.

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
    """Register filters of results, which choose the candidates that may be answers.

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
    """Register commands under `patina`: click commands, imported when they are called.

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
    """Handle a session that is new to the log: started here, or read by a sync.

    >>> from patina_hooks import hookimpl
    >>> @hookimpl
    ... def patina_session_started(session):
    ...     print(f"{session.id}: {session.title}")
    """


@hookspec
def patina_session_ended(session: Session, commits: Sequence[Commit], repository: RepositoryPaths) -> None:
    """Handle the end of a session that is new to the log; `commits` are those of its tag range.

    >>> from patina_hooks import hookimpl
    >>> @hookimpl
    ... def patina_session_ended(session, commits):
    ...     print(f"{session.title}: {len(commits)} commits")
    """


@hookspec
def patina_commit_recorded(
    commit: Commit, documents: Sequence[Document], repository: RepositoryPaths
) -> None:
    """Handle a commit that is new to the log, with its documents (its message is the first).

    Commits come oldest first, after the start of their session and before its end.

    >>> from patina_hooks import hookimpl
    >>> @hookimpl
    ... def patina_commit_recorded(commit):  # takes only what it needs
    ...     print(commit.oid[:10], commit.subject)
    """


@hookspec
def patina_observations_changed(
    added: Sequence[Recorded], removed: Sequence[Recorded], repository: RepositoryPaths
) -> None:
    """Handle observations that were added to or removed from the corpus.

    Called once for each sync that changed any, or for each thousand.

    >>> from patina_hooks import hookimpl
    >>> @hookimpl
    ... def patina_observations_changed(added, removed):
    ...     print(f"+{len(added)} -{len(removed)}")
    """


@hookspec
def patina_pairs_extracted(pairs: Sequence[Pair], repository: RepositoryPaths) -> None:
    """Handle pairs that were added to the corpus.

    Called once for each sync that made any, or for each thousand.

    >>> from patina_hooks import hookimpl
    >>> @hookimpl
    ... def patina_pairs_extracted(pairs):
    ...     print(sorted({pair.kind for pair in pairs}))
    """


@hookspec
def patina_projection_trained(projection: Outcome, report: Report, repository: RepositoryPaths) -> None:
    """Handle a projection that was trained and judged.

    Called for each one, after a run of `patina oxidize`.

    projection: its result (`patina_hooks.specs.reports`); report: the whole run.

    >>> from patina_hooks import hookimpl
    >>> @hookimpl
    ... def patina_projection_trained(projection, report):
    ...     print(f"{projection.name}: {report.sentence}")
    """


@hookspec
def patina_embeddings_updated(model: str, added: int, removed: int, repository: RepositoryPaths) -> None:
    """Handle texts that were added to or removed from the index of a model.

    Called once for each sync that changed it.

    >>> from patina_hooks import hookimpl
    >>> @hookimpl
    ... def patina_embeddings_updated(model, added):
    ...     print(f"{model}: {added} new vectors")
    """
