"""The documents of active sessions: a file in the work tree, and a copy in the store.

The document is the file if it exists and is not empty, else the copy. So edits of the user count, and neither
`git clean`, a checkout, nor the removal of the work tree loses them.
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
    """Open the work tree of a session, None if it is not found."""
    repository = store.work_tree(record)
    return Workspace(repository, workspace.settings) if repository else None


def read_active_document(store: Store, workspace: Workspace, record: Record) -> str:
    """Read the document of a session.

    Raises `SessionError` if its file cannot be read.
    """
    session_tree = workspace_of(store, workspace, record)
    text = session_tree.read(session_tree.active_path(record.id)) if session_tree else None
    if text and text.strip():
        return text
    # A record has no copy if a start was killed between the two.
    return store.copy(record.id) or render_document(record.header, datetime.strptime(record.id, ID_FORMAT))


def write_active_document(store: Store, workspace: Workspace, record: Record, text: str) -> None:
    """Write the document of a session: the copy, then the file if its work tree exists."""
    store.save_copy(record.id, text)
    session_tree = workspace_of(store, workspace, record)
    if session_tree:
        session_tree.prepare()
        session_tree.write(session_tree.active_path(record.id), text)
    change_token = session_tree.change_token(session_tree.active_path(record.id)) if session_tree else ""
    head = (session_tree.repository.head() if session_tree else None) or record.head
    root = str(session_tree.repository.root) if session_tree else record.root
    store.save_record(replace(record, change_token=change_token, head=head, root=root, used=int(time.time())))


def restore_documents(store: Store, workspace: Workspace) -> None:
    """Restore the absent files of this work tree's sessions from their copies."""
    for record in store.records():
        path = workspace.active_path(record.id)
        if record.git_dir == store.work_tree_key() and not workspace.exists(path):
            text = read_active_document(store, workspace, record)
            workspace.prepare()
            workspace.write(path, text)


def refresh_copies(
    store: Store, workspace: Workspace, heads: Mapping[Path, str | None] | None = None
) -> None:
    """Copy the documents that changed since their last copy.

    Files in work trees are only read.

    heads: the commit of each work tree; None if commits are not recorded.
    """
    for record in store.records():
        with suppress(SessionError):  # an unreadable file must not hide the others
            _refresh_record(store, workspace, record, heads or {})


def refresh_ended_copies(store: Store, workspace: Workspace) -> None:
    """Copy documents of ended sessions that were edited before a commit contains them."""
    for session in _edited(store, workspace):
        with suppress(SessionError):
            text = workspace.read(workspace.archive_path(session))
            if text and text.strip():
                store.save_ended(session, text)


def _edited(store: Store, workspace: Workspace) -> list[str]:
    """List ended sessions whose document is newer than its copy."""
    edited = []
    for session in store.ended():
        with suppress(SessionError):  # a link in the way
            if workspace.written(workspace.archive_path(session)) > store.ended_written(session):
                edited.append(session)
    return edited


def has_stale_copies(store: Store, workspace: Workspace) -> bool:
    """Whether a document changed since its last copy."""
    if _edited(store, workspace):
        return True
    for record in store.records():
        with suppress(SessionError):
            session_tree = workspace_of(store, workspace, record)
            if (
                session_tree
                and (change_token := session_tree.change_token(session_tree.active_path(record.id)))
                and change_token != record.change_token
            ):
                return True
    return False


def _refresh_record(
    store: Store, workspace: Workspace, record: Record, heads: Mapping[Path, str | None]
) -> None:
    session_tree = workspace_of(store, workspace, record)
    if session_tree is None:
        return
    path = session_tree.active_path(record.id)
    change_token = session_tree.change_token(path) or record.change_token
    head = heads.get(session_tree.repository.root) or record.head
    if (change_token, head) == (record.change_token, record.head):
        return
    text = session_tree.read(path)
    is_edited = bool(text and text.strip()) and text != store.copy(record.id)
    if text and is_edited:
        store.save_copy(record.id, text)
    used = int(time.time()) if is_edited or head != record.head else record.used
    store.save_record(
        replace(
            record, change_token=change_token, head=head, used=used, root=str(session_tree.repository.root)
        )
    )
