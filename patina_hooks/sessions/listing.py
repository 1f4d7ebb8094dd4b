"""Sessions as this work tree knows them: from records, documents, tags and the tree of HEAD."""

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
    """One session in a list; None where nothing tells.

    started: as its document writes it. path: relative to the root of its work tree. state: "active" where it
    is under way, in any work tree; "unfinished" where only a start tag tells of it. work_tree: where an
    active one is under way, or was where that was removed.
    commits, files, patterns, work_type: as its document states them.
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
    """The document of a session; path: relative to the root of its work tree, there or in HEAD's tree."""

    id: str
    path: str
    text: str


def list_sessions(
    repository: Repository, *, adapter: str | None = None, limit: int | None = None
) -> list[Summary]:
    """Sessions, newest first; only those of an adapter, at most `limit`."""
    recover_sessions(repository)
    workspace, store = Workspace.of(repository), Store(repository)
    tags: dict[str, list[SessionTag]] = {}
    for tag in session_tags(repository):
        tags.setdefault(tag.name.id, []).append(tag)
    records = {record.id: record for record in store.records()}
    paths, copies = _documents(workspace), set(store.ended())
    found: list[Summary] = []
    for name in sorted(tags.keys() | paths.keys() | records.keys() | copies, reverse=True):
        if limit is not None and len(found) >= limit:
            break
        if name in records:
            summary = _active_summary(workspace, store, records[name])
        else:
            text = _text(workspace, paths[name]) if name in paths else store.ended_text(name)
            summary = _summary(name, paths.get(name), text, tags.get(name, []))
        if adapter is None or summary.adapter == adapter:
            found.append(summary)
    return found


def find_session(repository: Repository, prefix: str) -> SessionText:
    """The document of the session whose id is, or alone begins with, `prefix`.

    Raises `SessionError` where no session or more than one does, or where only tags tell of it.
    """
    recover_sessions(repository)
    workspace, store = Workspace.of(repository), Store(repository)
    records = {record.id: record for record in store.records()}
    paths, held, copies = _documents(workspace), _held(workspace), store.ended()
    tagged = {tag.name.id for tag in session_tags(repository)}
    name = _only(prefix, tagged | paths.keys() | held.keys() | records.keys() | set(copies))
    if name in records:
        return SessionText(
            name, workspace.active_path(name), _shown(read_active_document(store, workspace, records[name]))
        )
    if name in paths:
        return SessionText(name, paths[name], _shown(workspace.read(paths[name]) or ""))
    if name in held:
        (blob,) = repository.blobs([held[name]], _BLOB_CAP)
        if blob.data is None:
            raise SessionError(f"the document of session {name} is not in this clone, or too large to show")
        return SessionText(name, workspace.archive_path(name), blob.data.decode("utf-8", "replace"))
    if name in copies:
        return SessionText(name, workspace.archive_path(name), _shown(store.ended_text(name) or ""))
    raise SessionError(
        f"session {name} has tags but no document in this work tree or its HEAD",
        hint=f"git log --all -- '*{name}*'",
    )


def _only(prefix: str, known: Iterable[str]) -> str:
    fitting = sorted(name for name in known if prefix and name.startswith(prefix))
    if not fitting:
        raise SessionError(f"no session {clean_line(prefix)!r}", hint="patina session list")
    if len(fitting) > 1:
        some = ", ".join(fitting[:3]) + (", ..." if len(fitting) > 3 else "")
        raise SessionError(
            f"{len(fitting)} sessions begin with {prefix!r}: {some}",
            hint=f"patina session show {fitting[-1]}",
        )
    return fitting[0]


def _documents(workspace: Workspace) -> dict[str, str]:
    folder = workspace.settings.sessions_folder
    names = [name.removesuffix(".md") for name in workspace.names(folder) if name.endswith(".md")]
    return {name: workspace.archive_path(name) for name in names if is_session_id(name)}


def _held(workspace: Workspace) -> dict[str, str]:
    """Blob ids of the documents in HEAD's tree, by session."""
    (folder,) = workspace.repository.object_ids([f"HEAD:{workspace.settings.sessions_folder}"])
    entries = workspace.repository.tree(folder) if folder else []
    files = {entry.name.removesuffix(".md"): entry for entry in entries if entry.name.endswith(".md")}
    return {name: e.oid for name, e in files.items() if is_session_id(name) and e.mode.startswith("100")}


def _active_summary(workspace: Workspace, store: Store, record: Record) -> Summary:
    home = store.work_tree(record)
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
        work_tree=str(home.root) if home else record.root,
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
        return ""  # one document that cannot be read must not hide the others


def _shown(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _name(tag: SessionTag | None, stated: TagName | None) -> str | None:
    name = tag.name if tag else stated
    return str(name) if name else None


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else None
