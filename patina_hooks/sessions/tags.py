"""The two annotated tags of a session and their hidden refs: reading and making them; free ids.

Other tools delete tags (`fetch.pruneTags`). A hidden ref, `refs/patina/sessions/<id>/start` or `/end`, holds
the same tag object: it keeps the commits alive, and names and titles readable, until the user deletes it.
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
    """A session tag as the repository holds it; title is what its message says, "" where it says none."""

    name: TagName
    title: str


def check_adapter(adapter: str) -> str:
    """The adapter; `UsageError` where it cannot be part of a tag's name."""
    if not _ADAPTER.fullmatch(adapter):
        raise UsageError(
            f"adapter {adapter!r}: expected 1 to 32 lower-case letters, digits, '-' or '_'",
            hint='patina session start --adapter claude "what you set out to do"',
        )
    return adapter


def session_tags(repository: Repository) -> list[SessionTag]:
    """List every session tag by name, and hidden refs in place of tags that were deleted.

    What is named like one and has an impossible date is left out.
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
    written = subject.startswith(f"Session {name.edge}: ")
    return SessionTag(name, subject.partition(": ")[2] if written else "")


def commit_of(repository: Repository, name: TagName) -> str | None:
    """The commit of a session's tag, or of the hidden ref where the tag was deleted."""
    return repository.resolve(name.ref) or repository.resolve(name.hidden_ref)


def free_id(
    repository: Repository, moment: datetime, folder: str, taken: Collection[str] = ()
) -> tuple[str, datetime]:
    """The id of that local moment, or of the next second that no session has, and its moment.

    folder: where archived documents lie, relative to the root. taken: ids of sessions in the store.
    """
    known = {*taken, *(tag.name.id for tag in session_tags(repository))}
    while not _is_free(repository, moment.strftime(ID_FORMAT), folder, known):
        moment += timedelta(seconds=1)
    return moment.strftime(ID_FORMAT), moment


def _is_free(repository: Repository, session: str, folder: str, taken: Collection[str]) -> bool:
    path = f"{folder}/{session}.md"
    if session in taken or (repository.root / path).exists():
        return False
    return repository.object_ids([f"HEAD:{path}"]) == [None]


def create_tag(
    repository: Repository, name: TagName, commit: str, title: str, moment: datetime | None = None
) -> None:
    """Make the annotated tag and its hidden ref in one step, with the user's identity.

    Neither gpg nor an editor is started. moment: an aware one that the tag is dated with; None means now.
    Raises `SessionError` with git's own words, or with the two lines that tell git who the user is.
    """
    git = repository.writing()
    identity = git.run("var", "GIT_COMMITTER_IDENT")
    if identity.code:
        raise SessionError(
            f"the tag {name} cannot be made: git does not know who you are",
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
        made = git.run("hash-object", "-t", "tag", "-w", "--stdin", data=text)
        oid = made.out.decode().strip()
        refs = f"create {name.ref} {oid}\nupdate {name.hidden_ref} {oid}\n"
        done = made if made.code else git.run("update-ref", "--stdin", data=refs.encode())
    except BaseException:
        # Interrupted while git was at it: it may have come to its end all the same.
        delete_tag(repository, name, commit)
        raise
    if not done.code:
        return
    (there,) = repository.object_ids([name.ref])
    reason = "it already exists" if there else done.err or f"git ended with {done.code}"
    raise SessionError(
        f"the tag {name} cannot be made: {reason}", hint=f"git tag --delete {name}" if there else ""
    )


def keep_tag(repository: Repository, name: TagName, commit: str) -> None:
    """Make the hidden ref of a tag that is there already, or of the commit where there is no tag."""
    tag, hidden = repository.object_ids([name.ref, name.hidden_ref])
    oid = tag if tag and repository.resolve(tag) == commit else commit
    if hidden is None and repository.resolve(commit) == commit:
        repository.writing().run("update-ref", name.hidden_ref, oid)


def delete_tag(repository: Repository, name: TagName, commit: str) -> None:
    """Take back a tag of that name on that commit, and its hidden ref; one that was moved is kept."""
    refs = (name.ref, name.hidden_ref)
    for ref, oid in zip(refs, repository.object_ids(list(refs)), strict=True):
        if oid and repository.resolve(oid) == commit:
            repository.writing().run("update-ref", "-d", ref, oid)
