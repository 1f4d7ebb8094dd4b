"""Session ids and the two annotated tags of a session: names, and making them.

A session's tags are `session-<id>-start` and `-end`. Where the user names an adapter on the command line
they carry it, `session-<id>-<adapter>-start`, as the later history of the ancestor project does; an
adapter that merely comes from settings is told by the document alone, so that the plain name, which every
reader knows, stays the usual one.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from patina_hooks.errors import SessionError, UsageError
from patina_hooks.git.repository import Repository

Edge = Literal["start", "end"]

ID_FORMAT = "%Y%m%d-%H%M%S"
_ID = re.compile(r"\d{8}-\d{6}", re.ASCII)
_TAG = re.compile(r"session-(\d{8}-\d{6})(?:-([a-z0-9_-]+?))?-(start|end)", re.ASCII)
_ADAPTER = re.compile(r"[a-z0-9_-]{1,32}")


@dataclass(frozen=True, slots=True)
class TagName:
    """The parts of a session tag's name; adapter is None where the name carries none."""

    id: str
    adapter: str | None
    edge: Edge

    def __str__(self) -> str:
        adapter = f"-{self.adapter}" if self.adapter else ""
        return f"session-{self.id}{adapter}-{self.edge}"

    @property
    def ref(self) -> str:
        """The full name, which no branch of the same name can shadow."""
        return f"refs/tags/{self}"

    def at(self, edge: Edge) -> TagName:
        """The tag of the same session at that edge."""
        return TagName(self.id, self.adapter, edge)


@dataclass(frozen=True, slots=True)
class SessionTag:
    """A session tag as the repository holds it; title is what its message says, "" where it says none."""

    name: TagName
    title: str


def is_session_id(text: str) -> bool:
    """Whether it is `YYYYMMDD-HHMMSS` of a moment that exists."""
    if not _ID.fullmatch(text):
        return False
    try:
        datetime.strptime(text, ID_FORMAT)
    except ValueError:
        return False
    return True


def parse_tag(name: str) -> TagName | None:
    """The parts of a short tag name, None where it is no session's or its date does not exist."""
    found = _TAG.fullmatch(name)
    if not found or not is_session_id(found[1]):
        return None
    return TagName(found[1], found[2], "start" if found[3] == "start" else "end")


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
    raise SessionError(f"the tag {name} cannot be made: {done.err or f'git tag ended with {done.code}'}")


def delete_tag(repository: Repository, name: TagName, commit: str) -> None:
    """Take back a tag of that name on that commit; one that was moved meanwhile is left alone."""
    (tag,) = repository.names([name.ref])
    if tag and repository.resolve(tag) == commit:
        repository.writing().run("update-ref", "-d", name.ref, tag)
