"""End sessions, and complete changes that a kill interrupted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from patina_hooks.errors import SessionError
from patina_hooks.git.repository import Repository
from patina_hooks.sessions.documents import document
from patina_hooks.sessions.documents.document import Ending, Header
from patina_hooks.sessions.documents.journal import Adding, Closing, Starting, read_intent, write_intent
from patina_hooks.sessions.documents.store import Record, Store
from patina_hooks.sessions.documents.texts import read_active_document, workspace_of, write_active_document
from patina_hooks.sessions.documents.workspace import POINTER, Workspace
from patina_hooks.sessions.metrics import Numbers, measure_range
from patina_hooks.sessions.surroundings import head_of
from patina_hooks.sessions.tags import commit_of, create_tag, delete_tag, keep_tag


@dataclass(frozen=True, slots=True)
class Ended:
    """An ended session.

    path: of its document, relative to the root of `work_tree`.
    numbers: None if its start commit is not in this repository.
    commit: the commit that contains the document, None unless the document was committed.
    """

    id: str
    title: str
    path: str
    start_tag: str
    end_tag: str
    work_type: str
    numbers: Numbers | None
    abandoned: bool
    work_tree: str
    commit: str | None = None


def end_record(
    store: Store,
    workspace: Workspace,
    record: Record,
    *,
    abandoned: bool = False,
    moment: datetime | None = None,
) -> Ended:
    """End a session in its own work tree, or in `workspace` if that is not found.

    Args:
        store: the records of the repository.
        workspace: the work tree of the command.
        record: of the session.
        abandoned: the worker ends it; its end is the last recorded commit of its work tree.
        moment: the date of the end tag; None means now.
    """
    target = workspace_of(store, workspace, record) or workspace
    ending = _plan(store, target, record, abandoned=abandoned)
    write_intent(store, Closing(ending, record.git_dir, str(target.repository.root)))
    repository, is_created = target.repository, False
    try:
        if repository.resolve(ending.end_tag.ref) is None:
            create_tag(repository, ending.end_tag, ending.commit, ending.title, moment)
            is_created = True
        else:
            keep_tag(repository, ending.end_tag, ending.commit)
        _write_archive(store, target, record, ending)
    except BaseException:
        if is_created:
            delete_tag(repository, ending.end_tag, ending.commit)
        target.remove(target.archive_path(ending.id))
        store.remove_ended(ending.id)
        store.remove_intent()
        raise
    # From here on the session is ended: the next command completes what fails now.
    return _finish(store, target, ending)


def measure_session(repository: Repository, session: Header, end: str) -> Numbers | None:
    """Count the changes of `<start>..end`, by the start tag or hidden ref, else the starting commit.

    None if this repository has none of them.
    """
    first = commit_of(repository, session.start_tag) or repository.resolve(session.starting_commit)
    return measure_range(repository, first, end) if first else None


def complete_intent(store: Store, workspace: Workspace) -> Ended | None:
    """Complete or discard an interrupted change.

    Return the session if it ended one.
    """
    store.sweep()
    if store.intent() is None:
        return None
    intent, ended = read_intent(store), None
    if isinstance(intent, Starting):
        _repair_start(store, workspace, intent)
    elif isinstance(intent, Adding):
        _repair_addition(store, workspace, intent)
    elif isinstance(intent, Closing):
        ended = _repair_end(store, workspace, intent)
    store.remove_intent()
    return ended


def _repair_start(store: Store, workspace: Workspace, intent: Starting) -> None:
    header = intent.record.header
    is_tagged = commit_of(workspace.repository, header.start_tag) == header.starting_commit
    if is_tagged:
        record = intent.record  # a copy without a record does not state its work tree
        _sweep(store, workspace, record)
        text = store.copy(header.id) or intent.document
        write_active_document(store, workspace, record, text)


def _repair_addition(store: Store, workspace: Workspace, intent: Adding) -> None:
    record = store.record(intent.session)
    if record is None:
        return
    _sweep(store, workspace, record)
    text = read_active_document(store, workspace, record)
    if text.count(intent.block) < intent.times:
        text = document.append_block(text, intent.block)
    write_active_document(store, workspace, record, text)


def _repair_end(store: Store, workspace: Workspace, intent: Closing) -> Ended | None:
    ending, record = intent.ending, store.record(intent.ending.id)
    target = (record and workspace_of(store, workspace, record)) or _target(store, workspace, intent)
    target.sweep(target.archive_path(ending.id))
    target.sweep(POINTER)
    if commit_of(target.repository, ending.end_tag) != ending.commit:
        return None
    if record is not None:
        # Written again if the active document still exists: it may have been edited since the kill.
        _write_archive(store, target, record, ending)
    return _finish(store, target, ending)


def _target(store: Store, workspace: Workspace, intent: Closing) -> Workspace:
    """Open the work tree of an end whose record is already removed."""
    root = Path(intent.root)
    if root == workspace.repository.root or not root.is_dir() or not store.repository.owns(root):
        return workspace
    return Workspace(Repository.open(root), workspace.settings)


def _sweep(store: Store, workspace: Workspace, record: Record) -> None:
    session_tree = workspace_of(store, workspace, record)
    if session_tree:
        session_tree.sweep(session_tree.active_path(record.id))


def _plan(store: Store, target: Workspace, record: Record, *, abandoned: bool) -> Ending:
    archive, session = target.archive_path(record.id), record.header
    if target.exists(archive):
        raise SessionError(
            f"cannot archive session {session.id}: {archive} already exists",
            hint=f"compare both documents, then move the old one: mv {archive} {archive}.old",
        )
    # An existing end tag was created by the user or another tool: it marks where the session ended.
    repository, tag = target.repository, session.start_tag.with_edge("end")
    commit = commit_of(repository, tag) or _last_commit(store, repository, record, abandoned=abandoned)
    title = _title(store, target, record)
    return Ending(
        title, session.start_tag, tag, commit, measure_session(repository, session, commit), abandoned
    )


def _last_commit(store: Store, repository: Repository, record: Record, *, abandoned: bool) -> str:
    """Return the commit at which a session ends: its work tree's HEAD, or the last recorded one."""
    is_found = store.work_tree(record) is not None and not abandoned
    revisions = [*(["HEAD"] if is_found else []), record.head, record.header.starting_commit]
    commits = (repository.resolve(revision) for revision in revisions)
    return next((commit for commit in commits if commit), None) or head_of(repository)


def _title(store: Store, target: Workspace, record: Record) -> str:
    """Read the title from the document: the user may have changed it."""
    try:
        return document.read_header(read_active_document(store, target, record), record.id).title
    except SessionError:
        return record.header.title


def _write_archive(store: Store, target: Workspace, record: Record, ending: Ending) -> None:
    block = document.render_classification(ending)
    text = document.append_block(read_active_document(store, target, record), block)
    store.save_ended(ending.id, text)
    target.write(target.archive_path(ending.id), text)


def _finish(store: Store, target: Workspace, ending: Ending) -> Ended:
    path = target.archive_path(ending.id)
    target.prepare()
    target.write(POINTER, document.render_pointer(ending, path))
    target.remove(target.active_path(ending.id))
    store.remove_record(ending.id)
    store.remove_intent()
    return Ended(
        id=ending.id,
        title=ending.title,
        path=path,
        start_tag=str(ending.start_tag),
        end_tag=str(ending.end_tag),
        work_type=ending.work_type,
        numbers=ending.numbers,
        abandoned=ending.abandoned,
        work_tree=str(target.repository.root),
    )
