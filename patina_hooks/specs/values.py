"""Recorded values: commits, documents, observations, sessions, pairs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class RepositoryPaths:
    """The repository that an event is about.

    root: the work tree that was read, absolute; common: the folder that git shares between work trees.
    """

    root: Path
    common: Path


@dataclass(frozen=True, slots=True)
class Change:
    """One path that a commit touched; status is git's letter (A, M, D, T)."""

    path: str
    status: str


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit as git holds it. Times are seconds since 1970, UTC.

    truncated: its parents exist but are not in this (shallow) clone, so `changes` is left empty.
    """

    oid: str
    parents: tuple[str, ...]
    author: str
    authored: int
    committed: int
    message: str
    changes: tuple[Change, ...]
    truncated: bool = False

    @property
    def subject(self) -> str:
        """The first line of the message that is not blank."""
        return self.message.strip().partition("\n")[0].strip()

    @property
    def is_merge(self) -> bool:
        return len(self.parents) > 1


@dataclass(frozen=True, slots=True)
class Document:
    """One text of the corpus, the input of an extractor.

    kind: the name of its source (`SourceSpec`): "commit", "session", "prose", ...
    oid: the blob's id, or the commit's id for its message.
    text: decoded as UTF-8 with errors replaced; a document above its source's limit is not read.
    language, fields: what its source derives from the path (`DocumentFacts`).

    It has no path: observations are cached by object, and one object may have several paths.
    """

    kind: str
    oid: str
    text: str
    language: str = ""
    fields: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Observation:
    """The smallest retrievable piece of a document.

    kind: decision, pattern, work, challenge, next, discussion, note, activity, goal, context, prompt,
        text (from session documents); commit, body (from commit messages); a plugin may add its own.
    line: 1-based line of its first character in the document.
    section: the heading or label it stands under, as written.
    weight: how strong it is as evidence, 0 to 1.
    name: its own name, if it has one: the heading directly above a passage, a function.
    end: its last line, 0 where that is its first.
    fields: facts by name, which a search can filter by (`scry --field status=accepted`).
    """

    kind: str
    text: str
    line: int
    section: str = ""
    weight: float = 1.0
    name: str = ""
    end: int = 0
    fields: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Omission:
    """Lines first..last (1-based, inclusive) that are in no observation, and the named reason.

    reason: in words; only `TOO_MANY` means that something is missing, and those lines are reported.
    """

    first: int
    last: int
    reason: str


TOO_MANY = "too many observations"
"""The reason where a document holds more observations than an extractor returns."""


@dataclass(frozen=True, slots=True)
class Extraction:
    """The result of an extractor for one document.

    title: the document's title, "" where it has none.
    fields: facts that the document states of itself (id, started, adapter, branch, start_tag, ...).
    """

    observations: tuple[Observation, ...]
    title: str = ""
    fields: Mapping[str, str] = field(default_factory=dict, hash=False)
    omissions: tuple[Omission, ...] = ()


@dataclass(frozen=True, slots=True)
class Session:
    """A stretch of work. Times are seconds since 1970, UTC; None where unknown.

    start, end: the commits that its tags peel to; None where a tag is absent or tags no commit.
    state: "ended" once it has an end tag or its document is on a ref, else "open".
    """

    id: str
    title: str
    adapter: str | None
    started: int | None
    ended: int | None
    start: str | None
    end: str | None
    path: str | None
    state: Literal["open", "ended"]


@dataclass(frozen=True, slots=True)
class Recorded:
    """An observation with its id and its location in the corpus."""

    id: str
    observation: Observation
    document: str
    session: str | None = None
    commit: str | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts that belong together, with the evidence.

    anchor, positive, negative: each the id of an observation, or a path as "path:<path>"
        (`patina_hooks.pairs.members.path_member`), of the scope that the generator got. The negative is
        mostly None (one is drawn when a projection is trained) and shares neither text nor session with
        the anchor.
    weight: how strong it is, 0 to 1.
    evidence: "" for that of the generator (see `PairGeneratorSpec.evidence`).
    """

    kind: str
    anchor: str
    positive: str
    negative: str | None
    weight: float
    evidence: str
