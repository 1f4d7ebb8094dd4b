"""The documents of sessions under way: a file in the work tree, and a copy in the store.

The file is the document while it is there and not empty; else the copy is. So hand edits count, and neither
`git clean`, a checkout, nor the removal of the work tree loses what was written.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from patina_hooks.errors import SessionError
from patina_hooks.sessions.documents.document import render_document
from patina_hooks.sessions.documents.store import Record, Store
from patina_hooks.sessions.documents.workspace import Workspace
from patina_hooks.text.session_ids import ID_FORMAT


def workspace_of(store: Store, workspace: Workspace, record: Record) -> Workspace | None:
    """The work tree of a session, None where it is not found now."""
    repository = store.work_tree(record)
    return Workspace(repository, workspace.settings) if repository else None


def read_active_document(store: Store, workspace: Workspace, record: Record) -> str:
    """The document of a session. Raises `SessionError` where its file cannot be read."""
    home = workspace_of(store, workspace, record)
    text = home.read(home.active_path(record.id)) if home else None
    if text and text.strip():
        return text
    # A record has no copy where a start was killed between the two.
    return store.copy(record.id) or render_document(record.header, datetime.strptime(record.id, ID_FORMAT))


def write_active_document(store: Store, workspace: Workspace, record: Record, text: str) -> None:
    """Write the document of a session: the copy, then the file where its work tree is there."""
    store.keep_copy(record.id, text)
    home = workspace_of(store, workspace, record)
    if home:
        home.prepare()
        home.write(home.active_path(record.id), text)
    stamp = home.stamp(home.active_path(record.id)) if home else ""
    head = (home.repository.head() if home else None) or record.head
    root = str(home.repository.root) if home else record.root
    store.keep(replace(record, stamp=stamp, head=head, root=root, used=int(time.time())))


def restore_documents(store: Store, workspace: Workspace) -> None:
    """Write the files of this work tree's sessions that are absent, from their copies."""
    for record in store.records():
        path = workspace.active_path(record.id)
        if record.git_dir == store.key() and not workspace.exists(path):
            text = read_active_document(store, workspace, record)
            workspace.prepare()
            workspace.write(path, text)


def refresh_copies(
    store: Store, workspace: Workspace, heads: Mapping[Path, str | None] | None = None
) -> None:
    """Copy the documents that changed since they were last copied; files in work trees are only read.

    heads: the commit of each work tree; None where commits are not looked at.
    """
    for record in store.records():
        with suppress(SessionError):  # a file that cannot be read must not hide the others
            _refresh_record(store, workspace, record, heads or {})


def refresh_ended_copies(store: Store, workspace: Workspace) -> None:
    """Copy the documents of ended sessions in this work tree that were edited before a commit holds them."""
    for session in _edited(store, workspace):
        with suppress(SessionError):
            text = workspace.read(workspace.archive_path(session))
            if text and text.strip():
                store.keep_ended(session, text)


def _edited(store: Store, workspace: Workspace) -> list[str]:
    """List ended sessions whose document is newer than its copy."""
    edited = []
    for session in store.ended():
        with suppress(SessionError):  # a link in the way
            if workspace.written(workspace.archive_path(session)) > store.ended_written(session):
                edited.append(session)
    return edited


def has_stale_copies(store: Store, workspace: Workspace) -> bool:
    """Whether a document changed since it was last copied."""
    if _edited(store, workspace):
        return True
    for record in store.records():
        with suppress(SessionError):
            home = workspace_of(store, workspace, record)
            if home and (stamp := home.stamp(home.active_path(record.id))) and stamp != record.stamp:
                return True
    return False


def _refresh_record(
    store: Store, workspace: Workspace, record: Record, heads: Mapping[Path, str | None]
) -> None:
    home = workspace_of(store, workspace, record)
    if home is None:
        return
    path = home.active_path(record.id)
    stamp = home.stamp(path) or record.stamp
    head = heads.get(home.repository.root) or record.head
    if (stamp, head) == (record.stamp, record.head):
        return
    text = home.read(path)
    is_edited = bool(text and text.strip()) and text != store.copy(record.id)
    if text and is_edited:
        store.keep_copy(record.id, text)
    used = int(time.time()) if is_edited or head != record.head else record.used
    store.keep(replace(record, stamp=stamp, head=head, used=used, root=str(home.repository.root)))
