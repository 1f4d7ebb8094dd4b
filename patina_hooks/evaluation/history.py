"""The history that evaluation mines: sessions and commits of the log, in one consistent view.

Drafts are excluded: results are a function of live refs.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from itertools import groupby
from operator import attrgetter
from typing import Final

from patina_hooks.store.facts import events_hash
from patina_hooks.store.search.past import (
    changes,
    document_observations,
    documents_folder,
    message_observations,
    read_recorded_commits,
    session_ranges,
)
from patina_hooks.text.session_ids import ID_FORMAT

_DELETED: Final = "D"


@dataclass(frozen=True, slots=True)
class PastPassage:
    """One observation. key: of its cached embedding."""

    kind: str
    text: str
    key: bytes


@dataclass(frozen=True, slots=True)
class PastSession:
    """A session with a document on a ref. started: seconds since 1970; commits: their number."""

    id: str
    title: str
    started: int
    pieces: tuple[PastPassage, ...]
    commits: int


@dataclass(frozen=True, slots=True)
class PastCommit:
    """A commit. pieces: what its message says; paths: those that it touched -> whether they were there after.

    session: the innermost session that holds it, None for none; ranges: every session whose tags hold it,
    or a copy of it. bookkeeping: it tells nothing of its paths but that they are there: a merge, a commit of
    nothing but session documents and patina's files, or a later copy of a commit (see `_Copies`), which also
    says nothing. reworded: what the messages of its copies say otherwise.
    """

    oid: str
    committed: int
    pieces: tuple[PastPassage, ...]
    paths: Mapping[str, bool]
    session: str | None
    ranges: tuple[str, ...]
    bookkeeping: bool
    reworded: tuple[PastPassage, ...] = ()

    @property
    def message(self) -> str:
        """Subject and body, without the trailers that name people and tools."""
        return "\n".join(piece.text for piece in self.pieces)

    @property
    def subject(self) -> str:
        return next((piece.text for piece in self.pieces if piece.kind == "commit"), "")


@dataclass(frozen=True, slots=True)
class History:
    """The history of a repository.

    sessions: by id.
    commits: oldest first; copies of one commit (after a rebase) count once, as the first; copies that touch
        other paths follow without a message.
    """

    events_hash: str
    sessions: tuple[PastSession, ...]
    commits: tuple[PastCommit, ...]


def read_history(connection: sqlite3.Connection) -> History:
    """Read the whole history; the caller holds one read transaction."""
    commits = _commits(connection, f"{documents_folder(connection)}/")
    held: dict[str, int] = {}
    for commit in commits:
        if commit.session:
            held[commit.session] = held.get(commit.session, 0) + 1
    return History(
        events_hash=events_hash(connection),
        sessions=tuple(_sessions(connection, held)),
        commits=tuple(commits),
    )


def _sessions(connection: sqlite3.Connection, held: Mapping[str, int]) -> Iterator[PastSession]:
    for session, rows in groupby(document_observations(connection), key=attrgetter("session")):
        observations = list(rows)
        first = observations[0]
        title = next((row.title for row in observations if row.title), "")
        started = first.started if first.started is not None else _moment(session)
        pieces = {row.number: PastPassage(row.kind, row.text, row.key) for row in observations}
        yield PastSession(session, title, started, tuple(pieces.values()), held.get(session, 0))


def _moment(session: str) -> int:
    """About when a session began that says so by its id alone; that is local time of an unknown zone."""
    return int(datetime.strptime(session, ID_FORMAT).replace(tzinfo=timezone.utc).timestamp())


def _commits(connection: sqlite3.Connection, folder: str) -> list[PastCommit]:
    messages: dict[int, list[PastPassage]] = {}
    for number, kind, text, key in message_observations(connection):
        messages.setdefault(number, []).append(PastPassage(kind, text, key))
    paths: dict[int, dict[str, bool]] = {}
    for number, path, status in changes(connection):
        paths.setdefault(number, {})[path] = status != _DELETED
    ranges: dict[int, list[str]] = {}
    for number, session in session_ranges(connection):
        ranges.setdefault(number, []).append(session)
    copies = _Copies()
    for row in read_recorded_commits(connection):
        touched = paths.get(row.number, {})
        only_papers = all(path.startswith((folder, ".patina/")) for path in touched)
        commit = PastCommit(
            oid=row.oid,
            committed=row.committed,
            pieces=tuple(messages.get(row.number, ())),
            paths=touched,
            session=row.session,
            ranges=tuple(ranges.get(row.number, ())),
            bookkeeping=bool(row.merge) or only_papers,
        )
        copies.add((row.author, row.authored, row.merge), commit)
    return copies.commits


class _Copies:
    """Commits, oldest first, of which copies count once.

    Amending, rebasing and cherry-picking keep author and authored second, and make a later commit. One that
    agrees with an earlier one in those, and in its subject or in any of its paths, is taken for a copy: were
    it none, one question would be lost; were it one, it would tell the answer to the other. (What shares no
    path tells none.) Of two commits of the same second neither sees the other, and scripts make several in
    one: those are copies only where message and paths agree wholly.
    """

    def __init__(self) -> None:
        self.commits: list[PastCommit] = []
        self._firsts: dict[tuple[object, str, str], int] = {}

    def add(self, authorship: tuple[object, ...], commit: PastCommit) -> None:
        """made: by whom, and when at first."""
        traits = [(authorship, "subject", commit.subject)] if commit.subject else []
        traits += [(authorship, "path", path) for path in commit.paths]
        alike = dict.fromkeys(self._firsts[trait] for trait in traits if trait in self._firsts)
        place = next((place for place in alike if self._is_copy(self.commits[place], commit)), None)
        if place is None:
            place = len(self.commits)
            self.commits.append(commit)
        else:
            self._join(place, commit)
        for trait in traits:
            self._firsts.setdefault(trait, place)

    def _is_copy(self, first: PastCommit, commit: PastCommit) -> bool:
        if first.committed != commit.committed:
            return True
        return first.message == commit.message and first.paths.keys() == commit.paths.keys()

    def _join(self, place: int, copy: PastCommit) -> None:
        first = self.commits[place]
        keys = {piece.key for piece in (*first.pieces, *first.reworded)}
        self.commits[place] = replace(
            first,
            session=first.session or copy.session,
            ranges=tuple(sorted({*first.ranges, *copy.ranges})),
            reworded=(*first.reworded, *(piece for piece in copy.pieces if piece.key not in keys)),
        )
        if copy.paths.items() - first.paths.items():
            self.commits.append(replace(copy, pieces=(), session=None, ranges=(), bookkeeping=True))
