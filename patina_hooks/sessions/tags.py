"""Read, create and delete the two annotated tags of a session and their hidden refs; find unused ids.

Other tools delete tags (`fetch.pruneTags`). A hidden ref, `refs/patina/sessions/<id>/start` or `/end`, points
to the same tag object: it keeps the commits, names and titles until the user deletes it.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from patina_hooks.errors import SessionError, UsageError
from patina_hooks.git.repository import Repository
from patina_hooks.text.session_ids import HIDDEN_REFS, ID_FORMAT, TagName, parse_tag, split_hidden_ref

_ADAPTER = re.compile(r"[a-z0-9_-]{1,32}")


@dataclass(frozen=True, slots=True)
class SessionTag:
    """A session tag of a repository.

    title: from its message, "" if it has none.
    """

    name: TagName
    title: str


def check_adapter(adapter: str) -> str:
    """Return the adapter.

    Raises `UsageError` if it cannot be part of a tag's name.
    """
    if not _ADAPTER.fullmatch(adapter):
        raise UsageError(
            f"adapter {adapter!r}: expected 1 to 32 lower-case letters, digits, '-' or '_'",
            hint='patina session start --adapter claude "title"',
        )
    return adapter


def session_tags(repository: Repository) -> list[SessionTag]:
    """List every session tag by name, and hidden refs in place of deleted tags.

    A tag with an impossible date is left out.
    """
    form = "--format=%(refname) %(objecttype) %(tag) %(contents:subject)"
    tags, hidden = [], []
    for line in repository.git.lines("for-each-ref", form, "refs/tags/session-*", f"{HIDDEN_REFS}/"):
        name, kind, rest = line.decode("utf-8", "replace").split(" ", 2)
        stated, _, subject = rest.partition(" ")
        if name.startswith("refs/tags/"):
            tag = parse_tag(name.removeprefix("refs/tags/"))
            tags += [_read_tag(tag, subject)] if tag else []
        elif (edge := split_hidden_ref(name)) is not None:
            tag = parse_tag(stated) if kind == "tag" else None
            hidden.append(_read_tag(tag if tag and tag.session_edge == edge.session_edge else edge, subject))
    live = {tag.name.session_edge for tag in tags}
    return sorted(
        (*tags, *(tag for tag in hidden if tag.name.session_edge not in live)), key=lambda t: str(t.name)
    )


def _read_tag(name: TagName, subject: str) -> SessionTag:
    has_title = subject.startswith(f"Session {name.edge}: ")
    return SessionTag(name, subject.partition(": ")[2] if has_title else "")


def commit_of(repository: Repository, name: TagName) -> str | None:
    """Return the commit of a session's tag, or of the hidden ref if the tag was deleted."""
    return repository.resolve(name.ref) or repository.resolve(name.hidden_ref)


def free_id(
    repository: Repository, moment: datetime, folder: str, used_ids: Collection[str] = ()
) -> tuple[str, datetime]:
    """Return the id of a local moment, or of the next second that no session has, and its moment.

    folder: of archived documents, relative to the root. used_ids: of sessions in the store.
    """
    all_ids = {*used_ids, *(tag.name.id for tag in session_tags(repository))}
    while not _is_free(repository, moment.strftime(ID_FORMAT), folder, all_ids):
        moment += timedelta(seconds=1)
    return moment.strftime(ID_FORMAT), moment


def _is_free(repository: Repository, session: str, folder: str, used_ids: Collection[str]) -> bool:
    path = f"{folder}/{session}.md"
    if session in used_ids or (repository.root / path).exists():
        return False
    return repository.object_ids([f"HEAD:{path}"]) == [None]


def create_tag(
    repository: Repository, name: TagName, commit: str, title: str, moment: datetime | None = None
) -> None:
    """Create the annotated tag and its hidden ref in one step, with the user's identity.

    Neither gpg nor an editor is started. moment: the aware date of the tag; None means now. Raises
    `SessionError` with git's message, or with the two commands that configure the user's identity.
    """
    git = repository.writing()
    identity = git.run("var", "GIT_COMMITTER_IDENT")
    if identity.code:
        raise SessionError(
            f"cannot create the tag {name}: git user.name and user.email are not set",
            hint='git config user.name "Your Name"\n      git config user.email you@example.com',
        )
    tagger = identity.out.strip()
    if moment is not None:
        tagger = tagger.rsplit(b" ", 2)[0] + f" {int(moment.timestamp())} {moment:%z}".encode()
    header = f"object {commit}\ntype commit\ntag {name}\n".encode()
    text = b"%stagger %s\n\nSession %s: %s\n" % (
        header,
        tagger,
        name.edge.encode(),
        title.encode("utf-8", "replace"),
    )
    try:
        result = git.run("hash-object", "-t", "tag", "-w", "--stdin", data=text)
        oid = result.out.decode().strip()
        refs = f"create {name.ref} {oid}\nupdate {name.hidden_ref} {oid}\n"
        result = result if result.code else git.run("update-ref", "--stdin", data=refs.encode())
    except BaseException:
        # Interrupted while git was running: it may still have created the tag.
        delete_tag(repository, name, commit)
        raise
    if not result.code:
        return
    (existing,) = repository.object_ids([name.ref])
    reason = "it already exists" if existing else result.err or f"git ended with {result.code}"
    raise SessionError(
        f"cannot create the tag {name}: {reason}", hint=f"git tag --delete {name}" if existing else ""
    )


def keep_tag(repository: Repository, name: TagName, commit: str) -> None:
    """Create the hidden ref of an existing tag, or of the commit if there is no tag."""
    tag, hidden = repository.object_ids([name.ref, name.hidden_ref])
    oid = tag if tag and repository.resolve(tag) == commit else commit
    if hidden is None and repository.resolve(commit) == commit:
        repository.writing().run("update-ref", name.hidden_ref, oid)


def delete_tag(repository: Repository, name: TagName, commit: str) -> None:
    """Delete a tag on a commit and its hidden ref.

    Keep a tag that was moved.
    """
    refs = (name.ref, name.hidden_ref)
    for ref, oid in zip(refs, repository.object_ids(list(refs)), strict=True):
        if oid and repository.resolve(oid) == commit:
            repository.writing().run("update-ref", "-d", ref, oid)
