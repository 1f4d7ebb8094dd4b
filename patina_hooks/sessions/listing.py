"""List and find the sessions of a work tree: by records, documents, tags and the tree of HEAD."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from patina_hooks.errors import SessionError
from patina_hooks.git.repository import Repository
from patina_hooks.sessions.documents.document import read_facts, read_header
from patina_hooks.sessions.documents.store import Record, Store
from patina_hooks.sessions.documents.texts import read_active_document
from patina_hooks.sessions.documents.workspace import Workspace
from patina_hooks.sessions.lifecycle import recover_sessions
from patina_hooks.sessions.tags import SessionTag, session_tags
from patina_hooks.text.display import clean_line
from patina_hooks.text.session_ids import TagName, is_session_id, parse_tag

State = Literal["active", "ended", "unfinished"]

_BLOB_CAP = 64 << 20


@dataclass(frozen=True, slots=True)
class Summary:
    """A session in a list; None for unknown values.

    state: "active" in any work tree, "ended", or "unfinished" if there is only a start tag.
    started, commits, files, patterns, work_type: as its document states them.
    path: relative to the root of its work tree.
    work_tree: of an active one, or its former location if it was removed.
    """

    id: str
    title: str
    adapter: str | None
    state: State
    started: str | None
    path: str | None
    start_tag: str | None
    end_tag: str | None
    work_type: str | None = None
    commits: int | None = None
    files: int | None = None
    patterns: int | None = None
    work_tree: str | None = None


@dataclass(frozen=True, slots=True)
class SessionText:
    """The document of a session.

    path: relative to the root of its work tree or of HEAD's tree.
    """

    id: str
    path: str
    text: str


def list_sessions(
    repository: Repository, *, adapter: str | None = None, limit: int | None = None
) -> list[Summary]:
    """List sessions, newest first; only those of an adapter, at most `limit`."""
    recover_sessions(repository)
    workspace, store = Workspace.of(repository), Store(repository)
    tags: dict[str, list[SessionTag]] = {}
    for tag in session_tags(repository):
        tags.setdefault(tag.name.id, []).append(tag)
    records = {record.id: record for record in store.records()}
    paths, copies = _documents(workspace), set(store.ended())
    summaries: list[Summary] = []
    for name in sorted(tags.keys() | paths.keys() | records.keys() | copies, reverse=True):
        if limit is not None and len(summaries) >= limit:
            break
        if name in records:
            summary = _active_summary(workspace, store, records[name])
        else:
            text = _text(workspace, paths[name]) if name in paths else store.ended_text(name)
            summary = _summary(name, paths.get(name), text, tags.get(name, []))
        if adapter is None or summary.adapter == adapter:
            summaries.append(summary)
    return summaries


def find_session(repository: Repository, prefix: str) -> SessionText:
    """Find the document of the only session whose id starts with `prefix`.

    Raises `SessionError` if no session or several match, or if the session has only tags.
    """
    recover_sessions(repository)
    workspace, store = Workspace.of(repository), Store(repository)
    records = {record.id: record for record in store.records()}
    paths, committed, copies = _documents(workspace), _committed_documents(workspace), store.ended()
    tagged = {tag.name.id for tag in session_tags(repository)}
    name = _only(prefix, tagged | paths.keys() | committed.keys() | records.keys() | set(copies))
    if name in records:
        return SessionText(
            name,
            workspace.active_path(name),
            _printable(read_active_document(store, workspace, records[name])),
        )
    if name in paths:
        return SessionText(name, paths[name], _printable(workspace.read(paths[name]) or ""))
    if name in committed:
        (blob,) = repository.blobs([committed[name]], _BLOB_CAP)
        if blob.data is None:
            raise SessionError(f"the document of session {name} is not in this clone, or is too large")
        return SessionText(name, workspace.archive_path(name), blob.data.decode("utf-8", "replace"))
    if name in copies:
        return SessionText(name, workspace.archive_path(name), _printable(store.ended_text(name) or ""))
    raise SessionError(
        f"session {name} has tags but no document in this work tree or its HEAD",
        hint=f"git log --all -- '*{name}*'",
    )


def _only(prefix: str, sessions: Iterable[str]) -> str:
    matches = sorted(session for session in sessions if prefix and session.startswith(prefix))
    if not matches:
        raise SessionError(f"no session {clean_line(prefix)!r}", hint="patina session list")
    if len(matches) > 1:
        listed = ", ".join(matches[:3]) + (", ..." if len(matches) > 3 else "")
        raise SessionError(
            f"{len(matches)} sessions start with {prefix!r}: {listed}",
            hint=f"patina session show {matches[-1]}",
        )
    return matches[0]


def _documents(workspace: Workspace) -> dict[str, str]:
    folder = workspace.settings.sessions_folder
    names = [name.removesuffix(".md") for name in workspace.names(folder) if name.endswith(".md")]
    return {name: workspace.archive_path(name) for name in names if is_session_id(name)}


def _committed_documents(workspace: Workspace) -> dict[str, str]:
    """Return the blob ids of the documents in HEAD's tree, by session."""
    (folder,) = workspace.repository.object_ids([f"HEAD:{workspace.settings.sessions_folder}"])
    entries = workspace.repository.tree(folder) if folder else []
    files = {entry.name.removesuffix(".md"): entry for entry in entries if entry.name.endswith(".md")}
    return {name: e.oid for name, e in files.items() if is_session_id(name) and e.mode.startswith("100")}


def _active_summary(workspace: Workspace, store: Store, record: Record) -> Summary:
    session_tree = store.work_tree(record)
    try:
        title = read_header(read_active_document(store, workspace, record), record.id).title
    except SessionError:
        title = record.header.title
    return Summary(
        id=record.id,
        title=title,
        adapter=record.header.adapter or None,
        state="active",
        started=record.header.started or None,
        path=workspace.active_path(record.id),
        start_tag=str(record.header.start_tag),
        end_tag=None,
        work_tree=str(session_tree.root) if session_tree else record.root,
    )


def _summary(session: str, path: str | None, text: str | None, tags: list[SessionTag]) -> Summary:
    facts = read_facts(text) if text else {}
    stated = parse_tag(facts.get("Session Tag", ""))
    by_edge = {tag.name.edge: tag for tag in tags}
    titles = [facts.get("title", ""), *(tag.title for tag in tags)]
    ended = "end" in by_edge or text is not None
    return Summary(
        id=session,
        title=clean_line(next((title for title in titles if title), "")),
        adapter=clean_line(facts.get("LLM", ""))
        or next((t.name.adapter for t in tags if t.name.adapter), None),
        state="ended" if ended else "unfinished",
        started=clean_line(facts.get("Started", "")) or None,
        path=path,
        start_tag=_name(by_edge.get("start"), stated),
        end_tag=_name(by_edge.get("end"), None),
        work_type=clean_line(facts.get("Work Type", "")) or None,
        commits=_number(facts.get("Commits")),
        files=_number(facts.get("Files Changed")),
        patterns=_number(facts.get("Patterns Modified")),
    )


def _text(workspace: Workspace, path: str) -> str:
    try:
        return workspace.read(path) or ""
    except SessionError:
        return ""  # an unreadable document must not hide the others


def _printable(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _name(tag: SessionTag | None, stated: TagName | None) -> str | None:
    name = tag.name if tag else stated
    return str(name) if name else None


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else None
