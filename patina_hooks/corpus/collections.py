"""Collections other than history: their documents lie in the trees of the live refs that history recorded."""

from __future__ import annotations

import time

from patina_hooks.config.settings import Settings
from patina_hooks.corpus.documents import Documents
from patina_hooks.corpus.live_refs import load_live_refs
from patina_hooks.corpus.observations import Extractors, remember_extractors, settle_extractors
from patina_hooks.corpus.outcome import Progress, ReconcileResult
from patina_hooks.corpus.reconcile import parse_oids
from patina_hooks.corpus.sources import Sources
from patina_hooks.git.repository import Repository
from patina_hooks.specs.sources import Trees
from patina_hooks.store.log import Log


def reconcile_collection(
    repository: Repository,
    history: Log,
    log: Log,
    extractors: Extractors,
    settings: Settings,
    progress: Progress,
    result: ReconcileResult,
) -> ReconcileResult:
    """Update a collection's documents to the live refs that history has recorded.

    Args:
        repository: where objects are read.
        history: the log of history, whose reconcile is finished.
        log: the collection's own.
        extractors: those in force for the collection.
        settings: those in force.
        progress: called as (stage, done, total).
        result: an empty one, with the callbacks that it needs.
    """
    sources = Sources(extractors.plugins, settings)
    documents = Documents(repository, log, extractors, sources, progress, result, history)
    live_refs = load_live_refs(history.connection, history.fact("tags"), "")
    trees: dict[Trees, set[str]] = {
        "refs": live_refs.branch_targets() | history.parsed("side", "[]", parse_oids),
        "heads": live_refs.head_targets(repository.default_branch()),
    }
    with log.writing():
        if settle_extractors(log, extractors):
            documents.renew()
        documents.retry()
        documents.update(trees, history.fact("packs"))
        remember_extractors(log, extractors)
        if documents.is_first_read:
            log.remember("synced", str(int(time.time())))
    result.faults += sources.faults
    return result
