"""The life of a session: start, update, note, end, and what a kill in the midst of it leaves to be done.

Every function opens with the lock held and the work of a killed predecessor completed (`journal`). A start or
an end either happens wholly or leaves no trace; both raise `SessionError` that says why.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from patina_hooks.configuration import user_redaction
from patina_hooks.display import clean_line
from patina_hooks.errors import SessionError
from patina_hooks.git.repository import Repository
from patina_hooks.session_ids import TagName
from patina_hooks.sessions import document
from patina_hooks.sessions.archive import commit_document
from patina_hooks.sessions.document import Ending, Header
from patina_hooks.sessions.journal import Starting, forget_intent, read_intent, write_intent
from patina_hooks.sessions.metrics import Numbers, measure
from patina_hooks.sessions.surroundings import check_branch_policy, current_branch, head_of, uncommitted
from patina_hooks.sessions.tags import check_adapter, create_tag, delete_tag, free_id
from patina_hooks.sessions.workspace import ACTIVE, INTENT, POINTER, WINDOW, Workspace


@dataclass(frozen=True, slots=True)
class Ended:
    """An ended session. path: its document, relative to the root; numbers: None where its start commit is
    not in this repository; commit: the commit that holds the document, None unless it was asked for."""

    id: str
    title: str
    path: str
    start_tag: str
    end_tag: str
    work_type: str
    numbers: Numbers | None
    abandoned: bool
    commit: str | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """A started session. abandoned: the unfinished one that was ended for it. uncommitted: how many paths
    differed from HEAD at the start, None where git cannot tell. cut: the title was too long and its rest
    was left out."""

    session: Header
    abandoned: Ended | None
    uncommitted: int | None
    cut: bool


@dataclass(frozen=True, slots=True)
class Updated:
    """An update. commits, files: of `<start>..HEAD`, 0 where the start is not in this repository;
    last_commit: relative time in git's words."""

    session: Header
    since: str
    commits: int
    files: int
    last_commit: str


@dataclass(frozen=True, slots=True)
class Noted:
    """A note; place: "<branch>@<short oid>"."""

    session: Header
    place: str
    text: str


@dataclass(frozen=True, slots=True)
class Progress:
    """The session under way; numbers of `<start>..HEAD`, None where either is not in this repository."""

    session: Header
    numbers: Numbers | None


def start(
    repository: Repository, title: str, *, adapter: str | None = None, now: datetime | None = None
) -> Started:
    """Start a session: tag HEAD, write the active document. One that is unfinished is ended first.

    adapter: named by the user, it becomes part of the tags' names; else the settings' adapter is written into
    the document alone. now: an aware moment whose zone is the local one.
    Raises `UsageError` for an empty title or an impossible adapter; `SessionError` where HEAD is unborn, the
    branch policy forbids the branch, git does not know the user, or a file cannot be written.
    """
    cleaned, cut = document.clean_title(user_redaction().redact(title))
    named = check_adapter(adapter) if adapter is not None else None
    workspace = Workspace.of(repository)
    head = head_of(repository)
    if workspace.settings.branch_policy == "require":
        check_branch_policy(repository)
    with workspace.locked():
        _repair(workspace)
        workspace.prepare()
        unfinished = workspace.active()
        abandoned = _end(workspace, unfinished, head, abandoned=True) if unfinished else None
        session, moment = free_id(repository, _local(now), workspace.settings.sessions_folder)
        header = Header(
            title=cleaned,
            id=session,
            started=document.utc(moment),
            adapter=named or workspace.settings.adapter,
            branch=current_branch(repository),
            start_tag=TagName(session, named, "start"),
            starting_commit=head,
        )
        _start(workspace, header, moment)
    return Started(header, abandoned, uncommitted(repository), cut)


def update(repository: Repository, *, now: datetime | None = None) -> Updated:
    """Append a Git Activity block to the active document and open a new window for the next one.

    Commits and files are those of `<start>..HEAD`; what is not committed yet is not counted.
    """
    workspace = Workspace.of(repository)
    moment = _local(now)
    with workspace.locked():
        session = _expect_active(workspace)
        numbers = _numbers(repository, session, head_of(repository)) or Numbers()
        last = repository.git.text("log", "-1", "--format=%cr", "--no-show-signature")
        done = Updated(session, workspace.since(), numbers.commits, numbers.files, last)
        block = document.render_update(moment, done.since, done.commits, done.files, done.last_commit)
        _append(workspace, block)
        workspace.write(WINDOW, document.clock(moment) + "\n")
        return done


def note(repository: Repository, text: str, *, now: datetime | None = None) -> Noted:
    """Append a note with the branch and commit it was made on. `UsageError` where the text is empty."""
    cleaned = document.clean_note(user_redaction().redact(text))
    workspace = Workspace.of(repository)
    with workspace.locked():
        session = _expect_active(workspace)
        oid = repository.git.text("rev-parse", "--short", head_of(repository))
        place = f"{clean_line(repository.branch() or 'HEAD')}@{oid}"
        _append(workspace, document.render_note(_local(now), place, cleaned))
        return Noted(session, place, cleaned)


def end(repository: Repository, *, commit: bool = False) -> Ended:
    """End the session: tag HEAD, classify, archive the document. An end that was killed is completed.

    commit: commit the archived document, and only that, with the user's identity and hooks. Where that
    fails the session is ended all the same, and `SessionError` says so.
    """
    workspace = Workspace.of(repository)
    with workspace.locked():
        repaired = _repair(workspace)
        session = workspace.active()
        if session is not None:
            ended = _end(workspace, session, head_of(repository), abandoned=False)
        elif repaired is not None:
            ended = repaired
        else:
            raise _no_session()
    # Without the lock: the user's hooks may themselves use session commands.
    if commit:
        ended = replace(ended, commit=commit_document(repository, ended.path, ended.id, ended.title))
    return ended


def active(repository: Repository) -> Progress | None:
    """The session under way in this work tree with its numbers so far, None where there is none."""
    workspace = Workspace.of(repository)
    repair(repository)
    session = workspace.active()
    if session is None:
        return None
    head = repository.head()
    return Progress(session, _numbers(repository, session, head) if head else None)


def repair(repository: Repository) -> None:
    """Complete or forget a start or an end that was killed; nothing happens where there is none."""
    workspace = Workspace.of(repository)
    if workspace.exists(INTENT):
        with workspace.locked():
            _repair(workspace)


# --- steps, with the lock held --------------------------------------------------------------------


def _start(workspace: Workspace, header: Header, moment: datetime) -> None:
    repository = workspace.repository
    window = document.clock(moment) + "\n"
    intent = Starting(header.start_tag, header.starting_commit, document.render(header, moment), window)
    write_intent(workspace, intent)
    try:
        create_tag(repository, intent.tag, intent.commit, header.title)
        try:
            _write_start(workspace, intent)
        except BaseException:
            delete_tag(repository, intent.tag, intent.commit)
            workspace.remove(ACTIVE)
            raise
    except BaseException:
        forget_intent(workspace)
        raise
    forget_intent(workspace)


def _write_start(workspace: Workspace, intent: Starting) -> None:
    workspace.write(WINDOW, intent.window)
    workspace.write(ACTIVE, intent.document)


def _end(workspace: Workspace, session: Header, head: str, *, abandoned: bool) -> Ended:
    ending = _plan_end(workspace, session, head, abandoned=abandoned)
    write_intent(workspace, ending)
    made = False
    try:
        if workspace.repository.resolve(ending.end_tag.ref) is None:
            create_tag(workspace.repository, ending.end_tag, ending.commit, ending.title)
            made = True
        _write_archive(workspace, ending)
    except BaseException:
        if made:
            delete_tag(workspace.repository, ending.end_tag, ending.commit)
        workspace.remove(workspace.archive(ending.id))
        forget_intent(workspace)
        raise
    # From here on the end stands: what fails now is completed by the next command.
    return _finish_end(workspace, ending)


def _plan_end(workspace: Workspace, session: Header, head: str, *, abandoned: bool) -> Ending:
    archive = workspace.archive(session.id)
    if workspace.exists(archive):
        raise SessionError(
            f"session {session.id} cannot be archived: {archive} exists already",
            hint=f"look at both, then move one away: mv {archive} {archive}.old",
        )
    # An end tag that is there already was made by hand or by another tool: it says where the session ended.
    tag = session.start_tag.at("end")
    commit = workspace.repository.resolve(tag.ref) or head
    numbers = _numbers(workspace.repository, session, commit)
    return Ending(session.title, session.start_tag, tag, commit, numbers, abandoned)


def _write_archive(workspace: Workspace, ending: Ending) -> None:
    text = workspace.read(ACTIVE)
    if text is not None:
        block = document.render_classification(ending)
        workspace.write(workspace.archive(ending.id), document.append(text, block))


def _finish_end(workspace: Workspace, ending: Ending) -> Ended:
    path = workspace.archive(ending.id)
    workspace.write(POINTER, document.render_pointer(ending, path))
    workspace.remove(ACTIVE)
    workspace.remove(WINDOW)
    forget_intent(workspace)
    return Ended(
        id=ending.id,
        title=ending.title,
        path=path,
        start_tag=str(ending.start_tag),
        end_tag=str(ending.end_tag),
        work_type=ending.work_type,
        numbers=ending.numbers,
        abandoned=ending.abandoned,
    )


def _repair(workspace: Workspace) -> Ended | None:
    """Complete or forget what was killed; the session, where that ended one."""
    if not workspace.exists(INTENT):
        return None
    intent = read_intent(workspace)
    ended = None
    if isinstance(intent, Starting):
        _repair_start(workspace, intent)
    elif isinstance(intent, Ending):
        ended = _repair_end(workspace, intent)
    for path in (ACTIVE, POINTER, WINDOW, INTENT):
        workspace.sweep(path)
    forget_intent(workspace)
    return ended


def _repair_start(workspace: Workspace, intent: Starting) -> None:
    tagged = workspace.repository.resolve(intent.tag.ref) == intent.commit
    if tagged and workspace.active() is None:
        _write_start(workspace, intent)


def _repair_end(workspace: Workspace, intent: Ending) -> Ended | None:
    archive, session = workspace.archive(intent.id), workspace.active()
    workspace.sweep(archive)
    tagged = workspace.repository.resolve(intent.end_tag.ref) == intent.commit
    if not tagged or (session is not None and session.id != intent.id):
        return None
    # Written anew where the active document is still there: it may have been edited since the kill.
    _write_archive(workspace, intent)
    return _finish_end(workspace, intent) if workspace.exists(archive) else None


def _expect_active(workspace: Workspace) -> Header:
    _repair(workspace)
    session = workspace.active()
    if session is None:
        raise _no_session()
    return session


def _append(workspace: Workspace, block: str) -> None:
    workspace.write(ACTIVE, document.append(workspace.read(ACTIVE) or "", block))


def _numbers(repository: Repository, session: Header, end: str) -> Numbers | None:
    """By the start tag; where that is gone, by the starting commit; None where both are."""
    first = repository.resolve(session.start_tag.ref) or repository.resolve(session.starting_commit)
    return measure(repository, first, end) if first else None


def _no_session() -> SessionError:
    return SessionError(
        "no session is under way in this work tree", hint='patina session start "what you set out to do"'
    )


def _local(now: datetime | None) -> datetime:
    return now if now is not None else datetime.now().astimezone()
