"""Maintenance of sessions by the worker and a sync: copy documents, end abandoned sessions."""

from __future__ import annotations

import logging
import time
from datetime import datetime
from pathlib import Path

from patina_hooks.errors import PatinaError
from patina_hooks.git.lock import SyncLock
from patina_hooks.git.repository import Repository
from patina_hooks.sessions.documents.store import Record, Store
from patina_hooks.sessions.documents.texts import has_stale_copies, refresh_copies, refresh_ended_copies
from patina_hooks.sessions.documents.upgrade import adopt_sessions
from patina_hooks.sessions.documents.workspace import LOCAL, LOCK, Workspace
from patina_hooks.sessions.ending import Ended, complete_intent, end_record

logger = logging.getLogger(__name__)
_HOUR = 3_600


def copy_documents(repository: Repository) -> None:
    """Copy the changed documents that no commit contains, unless a session command runs."""
    workspace, store = Workspace.of(repository), Store(repository)
    if not has_stale_copies(store, workspace):
        return
    lock = SyncLock(repository.common / LOCK)
    if lock.acquire():
        try:
            refresh_copies(store, workspace)
            refresh_ended_copies(store, workspace)
        finally:
            lock.release()


def keep_sessions(repository: Repository, *, now: float | None = None) -> list[Ended]:
    """Copy documents, and end sessions that are idle or whose work tree was removed, as abandoned.

    A session that cannot be ended is logged and stays active. now: seconds since 1970.
    """
    workspace, store = Workspace.of(repository), Store(repository)
    trees = [tree for tree in repository.work_trees() if repository.owns(tree.path)]
    if store.intent() is None and not store.records() and not any(map(_has_local, (t.path for t in trees))):
        return []
    with workspace.locked():
        complete_intent(store, workspace)
        for tree in trees:
            if _has_local(tree.path):
                _adopt_work_tree(tree.path, workspace)
        refresh_copies(store, workspace, {tree.path: tree.head for tree in trees})
        forget_committed(store, workspace)
        due = [record for record in store.records() if _is_due(store, workspace, record, now or time.time())]
        return [ended for record in due if (ended := _end(store, workspace, record)) is not None]


def _has_local(root: Path) -> bool:
    return (root / LOCAL).is_dir()


def _adopt_work_tree(root: Path, workspace: Workspace) -> None:
    try:
        session_tree = Workspace(Repository.open(root), workspace.settings)
        session_tree.prepare()
        adopt_sessions(Store(session_tree.repository), session_tree)
        refresh_ended_copies(Store(session_tree.repository), session_tree)
    except PatinaError as error:
        logger.warning("cannot read the sessions of %s: %s", root, error)


def _is_due(store: Store, workspace: Workspace, record: Record, now: float) -> bool:
    hours = workspace.settings.idle_hours
    return store.has_lost_work_tree(record) or (hours > 0 and now - record.used > hours * _HOUR)


def _end(store: Store, workspace: Workspace, record: Record) -> Ended | None:
    moment = datetime.fromtimestamp(record.used).astimezone() if record.used else None
    try:
        ended = end_record(store, workspace, record, abandoned=True, moment=moment)
    except PatinaError as error:
        logger.warning("cannot end the abandoned session %s: %s", record.id, error)
        return None
    logger.info("ended session %s as abandoned; its document is %s", ended.id, ended.path)
    return ended


def forget_committed(store: Store, workspace: Workspace) -> None:
    """Remove the copies of ended sessions whose documents HEAD contains."""
    names = store.ended()
    if not names:
        return
    blobs = workspace.repository.object_ids([f"HEAD:{workspace.archive_path(name)}" for name in names])
    for name, blob in zip(names, blobs, strict=True):
        if blob:
            store.remove_ended(name)
