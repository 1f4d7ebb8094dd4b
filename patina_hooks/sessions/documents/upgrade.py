"""Sessions that a work tree holds and the store does not know: those of release 0.1.0, and copied work trees.

Release 0.1.0 kept one session per work tree in `.patina/local/active-session.md`, with the mark of its last
update in `.last-update`, and a start or end that had begun in `intent.json`. They are read once and removed.
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
    """Whether release 0.1.0 left anything in this work tree."""
    return workspace.exists(_DOCUMENT) or workspace.exists(_INTENT)


class _Start(TypedDict):
    tag: StartTag
    commit: Oid
    document: str


def adopt_sessions(store: Store, workspace: Workspace) -> None:
    """Take over the sessions of this work tree that have no record.

    Raises `SessionError` where the document of release 0.1.0 is no session's.
    """
    moved = None
    if has_old_session(workspace):
        _complete_old_intent(workspace)
        moved = _move_old_document(store, workspace)
    for name in workspace.names(ACTIVE):
        session = name.removesuffix(".md")
        if is_session_id(session) and name != session and store.record(session) is None:
            # An end tag made by hand says where a session of 0.1.0 will have ended.
            _adopt_document(store, workspace, session, with_tag=session != moved)


def _complete_old_intent(workspace: Workspace) -> None:
    """Do what a killed 0.1.0 would have done at its next command, but for the end, which is done as any."""
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
                # Written from the document that is still there: it is written again by the end.
                workspace.remove(workspace.archive_path(ending.id))
    except (ValueError, KeyError, SessionError):
        pass  # an intent that makes no sense was forgotten by 0.1.0 too
    for path in (_DOCUMENT, _INTENT, _WINDOW):
        workspace.sweep(path)
    workspace.remove(_INTENT)


def _move_old_document(store: Store, workspace: Workspace) -> str | None:
    """The session that was moved to its place."""
    text = workspace.read(_DOCUMENT)
    if text is None:
        return None
    header = read_header(text, _DOCUMENT)
    is_tracked = bool(workspace.repository.git.check("ls-files", "-z", "--", _DOCUMENT))
    if store.record(header.id) or _is_ended(store, workspace, header, with_tag=is_tracked):
        return None  # what a checkout brought back
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
    record = Record(header, store.key(), str(repository.root), head, int(time.time()))
    store.keep(record)
    store.keep_copy(session, text)
    start = repository.resolve(header.start_tag.ref) or repository.resolve(header.starting_commit)
    if start:
        keep_tag(repository, header.start_tag, start)


def _is_ended(store: Store, workspace: Workspace, header: Header, *, with_tag: bool) -> bool:
    """with_tag: whether an end tag is enough; else an archived document tells."""
    archive = workspace.archive_path(header.id)
    if workspace.exists(archive) or store.ended_text(header.id) is not None:
        return True
    if workspace.repository.object_ids([f"HEAD:{archive}"]) != [None]:
        return True
    return with_tag and commit_of(workspace.repository, header.start_tag.with_edge("end")) is not None
