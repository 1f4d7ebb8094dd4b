"""Events of one sync, kept for the plugins that listen until no lock is held.

The queue is a temporary SQLite database that nothing else can open: small ones stay in memory, those of a
whole history go to the disk. Without listeners nothing is kept.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

from patina_hooks.config.configuration import user_redaction
from patina_hooks.specs.values import Document

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

_TABLES: Final = """
CREATE TABLE value (seq INTEGER PRIMARY KEY, event TEXT NOT NULL, part TEXT NOT NULL, data BLOB NOT NULL);
CREATE INDEX value_by_event ON value (event, part, seq);
CREATE TABLE recorded (oid TEXT PRIMARY KEY, committed INTEGER NOT NULL, data BLOB NOT NULL, parents INTEGER);
CREATE INDEX recorded_next ON recorded (committed, oid) WHERE parents = 0;
CREATE TABLE parent (parent TEXT NOT NULL, child TEXT NOT NULL, PRIMARY KEY (parent, child)) WITHOUT ROWID;
CREATE TABLE ended_commit (
    session TEXT NOT NULL, place INTEGER NOT NULL, oid TEXT NOT NULL, PRIMARY KEY (session, place)
) WITHOUT ROWID;
CREATE TABLE earlier (oid TEXT PRIMARY KEY, data BLOB) WITHOUT ROWID;
"""

Event = tuple[str, Mapping[str, object]]
"""The name of an event hook and its arguments."""


class EventQueue:
    """What one sync has to tell; filled under the sync lock, read after it."""

    def __init__(self, plugins: Plugins) -> None:
        self._listened = frozenset(event for event in _SYNC_EVENTS if plugins.listens(event))
        self._connection: sqlite3.Connection | None = None

    def listens(self, event: str) -> bool:
        """Whether any plugin implements this event hook."""
        return event in self._listened

    def is_empty(self) -> bool:
        """Whether no event is kept."""
        return self._connection is None

    def close(self) -> None:
        """Free the disk space of the queue."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # --- filling --------------------------------------------------------------------------------

    def add_commit(self, commit: Commit) -> None:
        """Keep a commit that is new to the log."""
        if not {COMMIT_RECORDED, SESSION_ENDED} & self._listened:
            return
        row = (commit.oid, commit.committed, _pack(commit))
        self._db.execute("INSERT OR REPLACE INTO recorded VALUES (?, ?, ?, NULL)", row)
        parents = [(parent, commit.oid) for parent in commit.parents]
        self._db.executemany("INSERT OR IGNORE INTO parent VALUES (?, ?)", parents)

    def add_started(self, session: Session) -> None:
        """Keep the start of a session."""
        self._add(SESSION_STARTED, "session", session)

    def add_ended(self, session: Session, oids: Iterable[str]) -> None:
        """Keep the end of a session. oids: its commits, oldest first."""
        if not self.listens(SESSION_ENDED):
            return
        self._add(SESSION_ENDED, "session", session)
        rows = [(session.id, place, oid) for place, oid in enumerate(oids)]
        self._db.executemany("INSERT OR REPLACE INTO ended_commit VALUES (?, ?, ?)", rows)

    def add_observation(self, recorded: Recorded) -> None:
        """Keep an observation that joined the corpus."""
        self._add(OBSERVATIONS_CHANGED, "added", recorded)

    def remove_observation(self, recorded: Recorded) -> None:
        """Keep an observation that left the corpus."""
        self._add(OBSERVATIONS_CHANGED, "removed", recorded)

    def add_pair(self, pair: Pair) -> None:
        """Keep a new pair."""
        self._add(PAIRS_EXTRACTED, "pairs", pair)

    def add_embeddings(self, model: str, added: int, removed: int) -> None:
        """Keep the change of the vector index."""
        self._add(EMBEDDINGS_UPDATED, "", {"model": model, "added": added, "removed": removed})

    def _add(self, event: str, part: str, value: object) -> None:
        if event in self._listened:
            row = (event, part, _pack(value))
            self._db.execute("INSERT INTO value (event, part, data) VALUES (?, ?, ?)", row)

    @property
    def _db(self) -> sqlite3.Connection:
        if self._connection is None:
            # "": a private temporary file. Another thread delivers, after this one has finished.
            self._connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
            self._connection.executescript(_TABLES)
            self._connection.execute("BEGIN")
        return self._connection

    # --- reading --------------------------------------------------------------------------------

    def events(self, repository: Repository) -> Iterator[Event]:
        """Every event in order: starts, commits oldest first, ends, observations, pairs, vectors.

        One git process reads the commits of ended sessions that were recorded earlier.
        """
        if self._connection is None:
            return
        for session in self._values(SESSION_STARTED, "session"):
            yield SESSION_STARTED, {"session": session}
        if self.listens(COMMIT_RECORDED):
            for commit in self._commits():
                documents = [Document("commit", commit.oid, commit.message)]
                yield COMMIT_RECORDED, {"commit": commit, "documents": documents}
        self._read_earlier(repository)
        for session in self._values(SESSION_ENDED, "session"):
            yield SESSION_ENDED, {"session": session, "commits": self._commits_of(session)}
        batches = (self._batches(OBSERVATIONS_CHANGED, part) for part in ("added", "removed"))
        for added, removed in zip_longest(*batches, fillvalue=[]):
            yield OBSERVATIONS_CHANGED, {"added": added, "removed": removed}
        for pairs in self._batches(PAIRS_EXTRACTED, "pairs"):
            yield PAIRS_EXTRACTED, {"pairs": pairs}
        for change in self._values(EMBEDDINGS_UPDATED, ""):
            yield EMBEDDINGS_UPDATED, change

    def _commits(self) -> Iterator[Commit]:
        """By time of commit; where clocks were wrong, still each after its parents."""
        db = self._db
        db.execute(
            "UPDATE recorded SET parents = (SELECT count(*) FROM parent p WHERE p.child = recorded.oid"
            " AND p.parent IN (SELECT oid FROM recorded))"
        )
        following = "SELECT oid, data FROM recorded WHERE parents = 0 ORDER BY committed, oid LIMIT 1"
        while row := db.execute(following).fetchone():
            db.execute("UPDATE recorded SET parents = -1 WHERE oid = ?", row[:1])
            db.execute(
                "UPDATE recorded SET parents = parents - 1"
                " WHERE oid IN (SELECT child FROM parent WHERE parent = ?)",
                row[:1],
            )
            yield _unpack(row[1])

    def _read_earlier(self, repository: Repository) -> None:
        """Read the commits of ended sessions that this sync did not record."""
        db = self._db
        db.execute(
            "INSERT OR IGNORE INTO earlier SELECT oid, NULL FROM ended_commit"
            " WHERE oid NOT IN (SELECT oid FROM recorded)"
        )
        oids = [row[0] for row in db.execute("SELECT oid FROM earlier")]
        if oids:
            redact = user_redaction().redact
            commits = (replace(c, message=redact(c.message)) for c in repository.commits(oids))
            rows = ((_pack(commit), commit.oid) for commit in commits)
            db.executemany("UPDATE earlier SET data = ? WHERE oid = ?", rows)

    def _commits_of(self, session: Session) -> list[Commit]:
        rows = self._db.execute(
            "SELECT coalesce(r.data, e.data) FROM ended_commit c LEFT JOIN recorded r ON r.oid = c.oid"
            " LEFT JOIN earlier e ON e.oid = c.oid WHERE c.session = ? ORDER BY c.place",
            (session.id,),
        )
        return [_unpack(data) for (data,) in rows if data is not None]

    def _values(self, event: str, part: str) -> Iterator[Any]:
        rows = self._db.execute(
            "SELECT data FROM value WHERE event = ? AND part = ? ORDER BY seq", (event, part)
        )
        return (_unpack(row[0]) for row in rows)

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
