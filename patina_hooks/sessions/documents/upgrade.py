"""Adopt sessions of a work tree that have no record: those of release 0.1.0, and of copied work trees.

Release 0.1.0 kept one session per work tree in `.patina/local/active-session.md`, the time of its last update
in `.last-update`, and an interrupted start or end in `intent.json`. They are read once and removed.
"""

from __future__ import annotations

import time
from typing import TypedDict

from patina_hooks.config.parsing import parse_json
from patina_hooks.config.schema import read_mapping, read_value
from patina_hooks.errors import SessionError
from patina_hooks.sessions.documents.document import Header, Oid, StartTag, read_header
from patina_hooks.sessions.documents.journal import read_ending
from patina_hooks.sessions.documents.store import Record, Store
from patina_hooks.sessions.documents.workspace import ACTIVE, LOCAL, Workspace
from patina_hooks.sessions.tags import commit_of, keep_tag
from patina_hooks.text.session_ids import is_session_id

_DOCUMENT = f"{LOCAL}/active-session.md"
_WINDOW = f"{LOCAL}/.last-update"
_INTENT = f"{LOCAL}/intent.json"


def has_old_session(workspace: Workspace) -> bool:
    """Whether release 0.1.0 left a session in this work tree."""
    return workspace.exists(_DOCUMENT) or workspace.exists(_INTENT)


class _Start(TypedDict):
    tag: StartTag
    commit: Oid
    document: str


def adopt_sessions(store: Store, workspace: Workspace) -> None:
    """Adopt the sessions of this work tree that have no record.

    Raises `SessionError` if the document of release 0.1.0 is not a session document.
    """
    moved = None
    if has_old_session(workspace):
        _complete_old_intent(workspace)
        moved = _move_old_document(store, workspace)
    for name in workspace.names(ACTIVE):
        session = name.removesuffix(".md")
        if is_session_id(session) and name != session and store.record(session) is None:
            # For a session of 0.1.0, an end tag of the user does not mean that it is ended.
            _adopt_document(store, workspace, session, with_tag=session != moved)


def _complete_old_intent(workspace: Workspace) -> None:
    """Complete an interrupted change as 0.1.0 would have.

    The end is left to `end`.
    """
    text = workspace.read(_INTENT)
    try:
        fields = read_mapping(object, parse_json(text or ""))
        if fields["action"] == "start":
            start = read_value(_Start, fields, ignore_unknown=True)
            tag, commit, document = start["tag"], start["commit"], start["document"]
            is_tagged = workspace.repository.resolve(tag.ref) == commit
            if is_tagged and read_header(document, _INTENT).id == tag.id and not workspace.exists(_DOCUMENT):
                workspace.write(_DOCUMENT, document)
        else:
            ending = read_ending(fields)
            is_tagged = workspace.repository.resolve(ending.end_tag.ref) == ending.commit
            if is_tagged and workspace.exists(_DOCUMENT):
                # Written from the document that still exists: the end writes it again.
                workspace.remove(workspace.archive_path(ending.id))
    except (ValueError, KeyError, SessionError):
        pass  # 0.1.0 discarded an invalid intent too
    for path in (_DOCUMENT, _INTENT, _WINDOW):
        workspace.sweep(path)
    workspace.remove(_INTENT)


def _move_old_document(store: Store, workspace: Workspace) -> str | None:
    """Move the document of 0.1.0 to the active documents; return its session."""
    text = workspace.read(_DOCUMENT)
    if text is None:
        return None
    header = read_header(text, _DOCUMENT)
    is_tracked = bool(workspace.repository.git.check("ls-files", "-z", "--", _DOCUMENT))
    if store.record(header.id) or _is_ended(store, workspace, header, with_tag=is_tracked):
        return None  # a checkout restored it
    workspace.prepare()
    workspace.write(workspace.active_path(header.id), text)
    workspace.remove(_DOCUMENT)
    workspace.remove(_WINDOW)
    return header.id


def _adopt_document(store: Store, workspace: Workspace, session: str, *, with_tag: bool) -> None:
    try:
        text = workspace.read(workspace.active_path(session)) or ""
        header = read_header(text, workspace.active_path(session))
    except SessionError:
        return
    if header.id != session or _is_ended(store, workspace, header, with_tag=with_tag):
        return
    repository = workspace.repository
    head = repository.head() or header.starting_commit
    record = Record(header, store.work_tree_key(), str(repository.root), head, int(time.time()))
    store.save_record(record)
    store.save_copy(session, text)
    start = repository.resolve(header.start_tag.ref) or repository.resolve(header.starting_commit)
    if start:
        keep_tag(repository, header.start_tag, start)


def _is_ended(store: Store, workspace: Workspace, header: Header, *, with_tag: bool) -> bool:
    """Whether a session is ended.

    with_tag: by its end tag too, not only by an archived document.
    """
    archive = workspace.archive_path(header.id)
    if workspace.exists(archive) or store.ended_text(header.id) is not None:
        return True
    if workspace.repository.object_ids([f"HEAD:{archive}"]) != [None]:
        return True
    return with_tag and commit_of(workspace.repository, header.start_tag.with_edge("end")) is not None
