"""The two annotated tags of a session: finding and making them; ids that are free."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from patina_hooks.errors import SessionError, UsageError
from patina_hooks.git.repository import Repository
from patina_hooks.session_ids import ID_FORMAT, TagName, parse_tag

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
            hint="patina session start --adapter claude TITLE",
        )
    return adapter


def session_tags(repository: Repository) -> list[SessionTag]:
    """Every session tag, by name; what is named like one and is none (an impossible date) is left out."""
    form = "--format=%(refname:lstrip=2) %(contents:subject)"
    found = []
    for line in repository.git.lines("for-each-ref", form, "refs/tags/session-*"):
        name, _, subject = line.decode("utf-8", "replace").partition(" ")
        tag = parse_tag(name)
        if tag:
            written = subject.startswith(f"Session {tag.edge}: ")
            found.append(SessionTag(tag, subject.partition(": ")[2] if written else ""))
    return found


def free_id(repository: Repository, moment: datetime, folder: str) -> tuple[str, datetime]:
    """The id of that local moment, or of the next second that no tag and no document has, and its moment.

    folder: where archived documents lie, relative to the root. Nothing waits for that second to come.
    """
    taken = {tag.name.id for tag in session_tags(repository)}
    while not _is_free(repository, moment.strftime(ID_FORMAT), folder, taken):
        moment += timedelta(seconds=1)
    return moment.strftime(ID_FORMAT), moment


def _is_free(repository: Repository, session: str, folder: str, taken: Collection[str]) -> bool:
    path = f"{folder}/{session}.md"
    if session in taken or (repository.root / path).exists():
        return False
    return repository.names([f"HEAD:{path}"]) == [None]


def create_tag(repository: Repository, name: TagName, commit: str, title: str) -> None:
    """Make the annotated tag with the user's identity; neither gpg nor an editor is started.

    Raises `SessionError` with git's own words, or with the two lines that tell git who the user is.
    """
    message = f"Session {name.edge}: {title}\n".encode()
    git = repository.writing()
    try:
        done = git.run(
            "tag",
            "--annotate",
            "--no-sign",
            "--cleanup=verbatim",
            "--file=-",
            str(name),
            commit,
            data=message,
        )
    except BaseException:
        # Interrupted while git was at it: it may have come to its end all the same.
        delete_tag(repository, name, commit)
        raise
    if not done.code:
        return
    if git.run("var", "GIT_COMMITTER_IDENT").code:
        raise SessionError(
            f"the tag {name} cannot be made: git does not know who you are",
            hint='git config user.name "Your Name"\n      git config user.email you@example.com',
        )
    (there,) = repository.names([name.ref])
    raise SessionError(
        f"the tag {name} cannot be made: {done.err or f'git tag ended with {done.code}'}",
        hint=f"git tag --delete {name}" if there else "",
    )


def delete_tag(repository: Repository, name: TagName, commit: str) -> None:
    """Take back a tag of that name on that commit; one that was moved meanwhile is left alone."""
    (tag,) = repository.names([name.ref])
    if tag and repository.resolve(tag) == commit:
        repository.writing().run("update-ref", "-d", name.ref, tag)
