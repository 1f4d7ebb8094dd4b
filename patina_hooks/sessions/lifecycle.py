"""The life cycle of a session: start, update, note, end.

Several sessions may be active in one work tree; a start ends none of them. Every function holds the lock, and
first completes an interrupted change (`journal`). A start or an end either happens completely or leaves no
trace; all raise `SessionError` with the reason.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from patina_hooks.config.configuration import load_user_redaction
from patina_hooks.errors import SessionError, UsageError
from patina_hooks.git.repository import Repository
from patina_hooks.sessions.documents import document
from patina_hooks.sessions.documents.archive import commit_document
from patina_hooks.sessions.documents.document import Header
from patina_hooks.sessions.documents.journal import Adding, Starting, write_intent
from patina_hooks.sessions.documents.store import Record, Store
from patina_hooks.sessions.documents.texts import (
    read_active_document,
    refresh_copies,
    refresh_ended_copies,
    restore_documents,
    workspace_of,
    write_active_document,
)
from patina_hooks.sessions.documents.upgrade import adopt_sessions, has_old_session
from patina_hooks.sessions.documents.workspace import ACTIVE, Workspace
from patina_hooks.sessions.ending import Ended, complete_intent, end_record, measure_session
from patina_hooks.sessions.metrics import Numbers
from patina_hooks.sessions.surroundings import check_branch_policy, current_branch, head_of, uncommitted
from patina_hooks.sessions.tags import check_adapter, create_tag, delete_tag, free_id
from patina_hooks.text.display import clean_line
from patina_hooks.text.session_ids import TagName, is_session_id


@dataclass(frozen=True, slots=True)
class Started:
    """A started session.

    uncommitted: the number of paths that differed from HEAD at the start, None if git cannot count them.
    cut: whether the title was too long and was shortened.
    """

    session: Header
    uncommitted: int | None
    cut: bool


@dataclass(frozen=True, slots=True)
class Updated:
    """An update.

    path: of the document, relative to the root of its work tree.
    commits, files: of `<start>..HEAD`, 0 if the start is not in this repository.
    last_commit: relative time as git prints it.
    """

    session: Header
    path: str
    since: str
    commits: int
    files: int
    last_commit: str


@dataclass(frozen=True, slots=True)
class Noted:
    """A note. location: "<branch>@<short oid>"."""

    session: Header
    location: str
    text: str


@dataclass(frozen=True, slots=True)
class Progress:
    """An active session.

    Numbers of `<start>..HEAD`, None if either is not in this repository.
    """

    session: Header
    numbers: Numbers | None


@dataclass(frozen=True, slots=True)
class OpenSessions:
    """A work tree and the records of its repository, with the lock held.

    completed: the session whose interrupted end was completed.
    """

    workspace: Workspace
    store: Store
    completed: Ended | None

    @property
    def local_records(self) -> list[Record]:
        """The active sessions of this work tree, oldest first."""
        return [record for record in self.store.records() if record.git_dir == self.store.work_tree_key()]

    def select(self, prefix: str | None) -> Record:
        """Return the session whose id starts with `prefix`.

        None means the one of this work tree.

        Raises `SessionError` if there is none, or more than one.
        """
        if prefix is None:
            return _only(self.local_records)
        records = self.store.records()
        exact = [record for record in records if record.id == prefix]
        return _only(
            exact or [record for record in records if prefix and record.id.startswith(prefix)], prefix
        )


def start(
    repository: Repository,
    title: str,
    *,
    adapter: str | None = None,
    moment: datetime | None = None,
    commit: str | None = None,
    continues: str | None = None,
) -> Started:
    """Start a session: tag its commit and write the active document.

    Args:
        repository: where the session starts.
        title: of the session; secrets are redacted.
        adapter: named by the user, it becomes part of the tags' names; else the settings' adapter is written
            only into the document.
        moment: of the start, aware, in local time; None means now.
        commit: on which it starts; None means HEAD.
        continues: the id of the previous session.

    Raises:
        UsageError: an empty title, an invalid adapter or id, or a commit that is not in this clone.
        SessionError: HEAD is unborn, the branch policy forbids the branch, git has no identity of the user,
            or a file cannot be written.
    """
    cleaned, cut = document.clean_title(load_user_redaction().redact(title))
    checked_adapter = check_adapter(adapter) if adapter is not None else None
    if continues is not None and not is_session_id(continues):
        raise UsageError(f"{clean_line(continues)!r} is not a session id; expected YYYYMMDD-HHMMSS")
    with open_sessions(repository) as work:
        head = head_of(repository) if commit is None else _commit(repository, commit)
        settings = work.workspace.settings
        if settings.branch_policy == "require":
            check_branch_policy(repository)
        used_ids = [*(record.id for record in work.store.records()), *work.store.ended()]
        session, start_moment = free_id(repository, _local(moment), settings.sessions_folder, used_ids)
        header = Header(
            title=cleaned,
            id=session,
            started=document.format_utc(start_moment),
            adapter=checked_adapter or settings.adapter,
            branch=current_branch(repository),
            start_tag=TagName(session, checked_adapter, "start"),
            starting_commit=head,
            continues=continues,
        )
        _start(work, header, start_moment, dated=moment)
    return Started(header, uncommitted(repository), cut)


def update(repository: Repository, *, session: str | None = None, moment: datetime | None = None) -> Updated:
    """Append a Git Activity block to the active document.

    Commits and files are those of `<start>..HEAD`; uncommitted changes are not counted.

    Args:
        repository: its work tree.
        session: the beginning of its id; None if a single session is active in this work tree.
        moment: of the update; None means now.
    """
    with open_sessions(repository) as work:
        record = work.select(session)
        now, head = _local(moment), _head(work, record)
        numbers = measure_session(repository, record.header, head) or Numbers()
        last = repository.git.text("log", "-1", "--format=%cr", "--no-show-signature", head)
        since = document.last_update(read_active_document(work.store, work.workspace, record))
        path = work.workspace.active_path(record.id)
        updated = Updated(record.header, path, since, numbers.commits, numbers.files, last)
        _add(
            work,
            record,
            document.render_update(now, since, updated.commits, updated.files, updated.last_commit),
        )
        return updated


def note(
    repository: Repository, text: str, *, session: str | None = None, moment: datetime | None = None
) -> Noted:
    """Append a note with its branch and commit.

    Raises `UsageError` for an empty text.

    session: as in `update`.
    """
    cleaned = document.clean_note(load_user_redaction().redact(text))
    with open_sessions(repository) as work:
        record = work.select(session)
        oid = repository.git.text("rev-parse", "--short", repository.head() or record.head)
        location = f"{clean_line(repository.branch() or 'HEAD')}@{oid}"
        _add(work, record, document.render_note(_local(moment), location, cleaned))
        return Noted(record.header, location, cleaned)


def end(
    repository: Repository,
    *,
    session: str | None = None,
    commit: bool = False,
    moment: datetime | None = None,
) -> Ended:
    """End a session: tag HEAD, classify, archive the document.

    An interrupted end is completed.

    It ends in its own work tree; if that was removed, its document is archived in this one.

    Args:
        repository: its work tree.
        session: as in `update`.
        commit: commit the archived document, and only that, with the user's identity and hooks. If that
            fails, the session is still ended, and `SessionError` states it.
        moment: of the end; None means now.
    """
    with open_sessions(repository) as work:
        completed = work.completed
        if completed and (completed.id.startswith(session) if session else not work.local_records):
            ended = completed
        else:
            ended = end_record(work.store, work.workspace, work.select(session), moment=moment)
    # Without the lock: the user's hooks may themselves use session commands.
    return _commit_document(repository, ended) if commit else ended


def end_all(repository: Repository, *, commit: bool = False) -> list[Ended]:
    """End all sessions of this work tree, oldest first."""
    with open_sessions(repository) as work:
        ended = [work.completed] if work.completed else []
        if not ended and not work.local_records:
            raise _no_session()
        ended += [end_record(work.store, work.workspace, record) for record in work.local_records]
    return [_commit_document(repository, session) for session in ended] if commit else ended


def active_sessions(repository: Repository) -> list[Progress]:
    """Return the active sessions of this work tree with their numbers, oldest first."""
    recover_sessions(repository)
    store, head = Store(repository), repository.head()
    headers = [record.header for record in store.records() if record.git_dir == store.work_tree_key()]
    return [
        Progress(header, measure_session(repository, header, head) if head else None) for header in headers
    ]


def recover_sessions(repository: Repository) -> None:
    """Complete interrupted changes, adopt sessions of 0.1.0, copy and restore documents.

    Does nothing if no session is active.
    """
    workspace, store = Workspace.of(repository), Store(repository)
    if store.intent() is not None or has_old_session(workspace) or store.records() or workspace.names(ACTIVE):
        with open_sessions(repository):
            pass


@contextmanager
def open_sessions(repository: Repository) -> Iterator[OpenSessions]:
    """Open the sessions of a work tree, with the lock held and interrupted changes completed."""
    workspace, store = Workspace.of(repository), Store(repository)
    with workspace.locked():
        completed = complete_intent(store, workspace)
        adopt_sessions(store, workspace)
        refresh_copies(store, workspace, {repository.root: repository.head()})
        refresh_ended_copies(store, workspace)
        restore_documents(store, workspace)
        yield OpenSessions(workspace, store, completed)


# --- steps, with the lock held --------------------------------------------------------------------


def _start(work: OpenSessions, header: Header, start_moment: datetime, dated: datetime | None) -> None:
    repository, store = work.workspace.repository, work.store
    record = Record(
        header, store.work_tree_key(), str(repository.root), header.starting_commit, int(time.time())
    )
    intent = Starting(record, document.render_document(header, start_moment))
    write_intent(store, intent)
    try:
        create_tag(repository, header.start_tag, header.starting_commit, header.title, dated)
        try:
            write_active_document(store, work.workspace, record, intent.document)
        except BaseException:
            delete_tag(repository, header.start_tag, header.starting_commit)
            work.workspace.remove(work.workspace.active_path(header.id))
            store.remove_record(header.id)
            raise
    except BaseException:
        store.remove_intent()
        raise
    store.remove_intent()


def _add(work: OpenSessions, record: Record, block: str) -> None:
    """Append a block to a document, or leave it unchanged."""
    before = read_active_document(work.store, work.workspace, record)
    after = document.append_block(before, block)
    write_intent(work.store, Adding(record.id, block, after.count(block)))
    try:
        write_active_document(work.store, work.workspace, record, after)
    except BaseException:
        work.store.remove_intent()
        with suppress(SessionError):
            work.store.save_copy(record.id, before)
        raise
    work.store.remove_intent()


def _head(work: OpenSessions, record: Record) -> str:
    """Return HEAD of the session's work tree, or its last recorded commit."""
    session_tree = workspace_of(work.store, work.workspace, record)
    return (session_tree.repository.head() if session_tree else None) or record.head


def _commit_document(repository: Repository, ended: Ended) -> Ended:
    session_tree = (
        repository if ended.work_tree == str(repository.root) else Repository.open(Path(ended.work_tree))
    )
    return replace(ended, commit=commit_document(session_tree, ended.path, ended.id, ended.title))


def _commit(repository: Repository, revision: str) -> str:
    commit = repository.resolve(revision)
    if commit is None:
        raise UsageError(f"no commit {clean_line(revision)!r} in this repository")
    return commit


def _only(records: list[Record], prefix: str | None = None) -> Record:
    if not records:
        raise (
            _no_session()
            if prefix is None
            else SessionError(
                f"no active session has an id that starts with {clean_line(prefix)!r}",
                hint="patina session list",
            )
        )
    if len(records) > 1:
        listed = "".join(f"\n  {r.id}  {clean_line(r.header.adapter)}  {r.header.title}" for r in records)
        raise SessionError(
            f"{len(records)} sessions are active{'' if prefix else ' in this work tree'}:{listed}",
            hint=f"select a session: --session {records[-1].id}",
        )
    return records[0]


def _no_session() -> SessionError:
    return SessionError("no session is active in this work tree", hint='patina session start "title"')


def _local(moment: datetime | None) -> datetime:
    moment = moment if moment is not None else datetime.now()
    return moment if moment.tzinfo else moment.astimezone()
