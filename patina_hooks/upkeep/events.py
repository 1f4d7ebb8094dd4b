"""Events of one sync, queued for the plugins that listen until no lock is held.

The queue is a temporary database (`patina_hooks.store.event_queue`). Without listeners nothing is queued.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

from patina_hooks.config.configuration import load_user_redaction
from patina_hooks.specs.values import Document
from patina_hooks.store.event_queue import (
    add_commit,
    add_earlier_commits,
    add_ended_commits,
    add_value,
    open_queue,
    read_ended_commits,
    read_values,
    set_earlier_commits,
    take_commits,
)

if TYPE_CHECKING:
    from patina_hooks.git.repository import Repository
    from patina_hooks.plugins.manager import Plugins
    from patina_hooks.specs.values import Commit, Pair, Recorded, Session

COMMIT_RECORDED: Final = "patina_commit_recorded"
SESSION_STARTED: Final = "patina_session_started"
SESSION_ENDED: Final = "patina_session_ended"
OBSERVATIONS_CHANGED: Final = "patina_observations_changed"
PAIRS_EXTRACTED: Final = "patina_pairs_extracted"
EMBEDDINGS_UPDATED: Final = "patina_embeddings_updated"
_SYNC_EVENTS: Final = (
    *(COMMIT_RECORDED, SESSION_STARTED, SESSION_ENDED),
    *(OBSERVATIONS_CHANGED, PAIRS_EXTRACTED, EMBEDDINGS_UPDATED),
)

BATCH: Final = 1_000
"""The most observations or pairs of one call."""

HookCall = tuple[str, Mapping[str, object]]
"""The name of an event hook and its arguments."""


class EventQueue:
    """The events of one sync; filled under the sync lock, read after its release."""

    def __init__(self, plugins: Plugins) -> None:
        self._listened = frozenset(event for event in _SYNC_EVENTS if plugins.listens(event))
        self._connection: sqlite3.Connection | None = None

    def listens(self, event: str) -> bool:
        """Whether any plugin implements this event hook."""
        return event in self._listened

    def is_empty(self) -> bool:
        """Whether no event is queued."""
        return self._connection is None

    def close(self) -> None:
        """Free the disk space of the queue."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # --- filling --------------------------------------------------------------------------------

    def add_commit(self, commit: Commit) -> None:
        """Queue a commit that is new to the log."""
        if not {COMMIT_RECORDED, SESSION_ENDED} & self._listened:
            return
        add_commit(self._db, commit.oid, commit.committed, commit.parents, _pack(commit))

    def add_started(self, session: Session) -> None:
        """Queue the start of a session."""
        self._add(SESSION_STARTED, "session", session)

    def add_ended(self, session: Session, oids: Iterable[str]) -> None:
        """Queue the end of a session. oids: its commits, oldest first."""
        if not self.listens(SESSION_ENDED):
            return
        self._add(SESSION_ENDED, "session", session)
        add_ended_commits(self._db, session.id, oids)

    def add_observation(self, recorded: Recorded) -> None:
        """Queue an observation that became live."""
        self._add(OBSERVATIONS_CHANGED, "added", recorded)

    def remove_observation(self, recorded: Recorded) -> None:
        """Queue an observation that is no longer live."""
        self._add(OBSERVATIONS_CHANGED, "removed", recorded)

    def add_pair(self, pair: Pair) -> None:
        """Queue a new pair."""
        self._add(PAIRS_EXTRACTED, "pairs", pair)

    def add_embeddings(self, model: str, added: int, removed: int) -> None:
        """Queue the change of the vector index."""
        self._add(EMBEDDINGS_UPDATED, "", {"model": model, "added": added, "removed": removed})

    def _add(self, event: str, part: str, value: object) -> None:
        if event in self._listened:
            add_value(self._db, event, part, _pack(value))

    @property
    def _db(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = open_queue()  # another thread delivers, after this one has finished
        return self._connection

    # --- reading --------------------------------------------------------------------------------

    def events(self, repository: Repository) -> Iterator[HookCall]:
        """Yield every event in order: starts, commits oldest first, ends, observations, pairs, vectors.

        One git process reads the commits of ended sessions that were recorded earlier.
        """
        if self._connection is None:
            return
        for session in self._values(SESSION_STARTED, "session"):
            yield SESSION_STARTED, {"session": session}
        if self.listens(COMMIT_RECORDED):
            for commit in map(_unpack, take_commits(self._db)):
                documents = [Document("commit", commit.oid, commit.message)]
                yield COMMIT_RECORDED, {"commit": commit, "documents": documents}
        self._read_earlier(repository)
        for session in self._values(SESSION_ENDED, "session"):
            commits = [_unpack(data) for data in read_ended_commits(self._db, session.id)]
            yield SESSION_ENDED, {"session": session, "commits": commits}
        batches = (self._batches(OBSERVATIONS_CHANGED, part) for part in ("added", "removed"))
        for added, removed in zip_longest(*batches, fillvalue=[]):
            yield OBSERVATIONS_CHANGED, {"added": added, "removed": removed}
        for pairs in self._batches(PAIRS_EXTRACTED, "pairs"):
            yield PAIRS_EXTRACTED, {"pairs": pairs}
        for change in self._values(EMBEDDINGS_UPDATED, ""):
            yield EMBEDDINGS_UPDATED, change

    def _read_earlier(self, repository: Repository) -> None:
        """Read the commits of ended sessions that this sync did not record."""
        oids = add_earlier_commits(self._db)
        if oids:
            redact = load_user_redaction().redact
            commits = (replace(c, message=redact(c.message)) for c in repository.commits(oids))
            set_earlier_commits(self._db, ((commit.oid, _pack(commit)) for commit in commits))

    def _values(self, event: str, part: str) -> Iterator[Any]:
        return map(_unpack, read_values(self._db, event, part))

    def _batches(self, event: str, part: str) -> Iterator[list[Any]]:
        values: list[Any] = []
        for value in self._values(event, part):
            values.append(value)
            if len(values) == BATCH:
                yield values
                values = []
        if values:
            yield values


def _pack(value: object) -> bytes:
    import pickle  # only where a plugin listens

    return pickle.dumps(value)


def _unpack(data: bytes) -> Any:  # noqa: ANN401 (what was packed)
    import pickle

    return pickle.loads(data)  # noqa: S301 (our own, from a file that nothing else can open)
