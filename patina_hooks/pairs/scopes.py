"""The inputs of pair generators: one session, commit or module, read from the log up to a limit."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from patina_hooks.pairs.members import path_member
from patina_hooks.specs.plugins import CommitScope, ModuleScope, PairScopeKind, SessionScope
from patina_hooks.specs.values import Recorded
from patina_hooks.store.pairs.contents import (
    StoredPath,
    read_commit_paths,
    read_folder_paths,
    read_observations_of_object,
    read_previous_session,
    read_session_commits,
    read_session_documents,
)

COMMITS_CAP = 1_000
PATHS_CAP = 50
MODULE_CAP = 200

GeneratorInput = SessionScope | CommitScope | ModuleScope


@dataclass(frozen=True, slots=True)
class PairMember:
    """A possible member of a scope's pairs: an observation or a path.

    row: as the table `pair` stores it.
    session: whose document contains it, or whose tag range contains its commit.
    """

    row: int
    text: str
    session: str | None = None
    commit: str | None = None


@dataclass(slots=True)
class ScopeReader:
    """Reads one scope, and collects its members by their names in pairs."""

    connection: sqlite3.Connection
    members: dict[str, PairMember] = field(default_factory=dict)

    def read(self, kind: PairScopeKind, name: str) -> GeneratorInput | None:
        """Read a scope without drafts, None if the corpus no longer has it."""
        readers: dict[PairScopeKind, Callable[[str], GeneratorInput | None]] = {
            "session": self._read_session,
            "commit": self._read_commit,
            "module": self._read_module,
        }
        return readers[kind](name)

    def _read_session(self, session: str) -> SessionScope | None:
        documents = read_session_documents(self.connection, session)
        oids = read_session_commits(self.connection, session, COMMITS_CAP + 1)
        oids = oids if len(oids) <= COMMITS_CAP else []
        if not documents and not oids:
            return None
        previous = read_previous_session(self.connection, session) if documents else None
        return SessionScope(
            id=session,
            document=self._read_observations(documents, session),
            commits=tuple((oid, self._read_observations([(oid, oid)], session, oid)) for oid in oids),
            previous=self._read_document(previous) if previous else (),
            previous_id=previous,
        )

    def _read_commit(self, oid: str) -> CommitScope | None:
        paths = read_commit_paths(self.connection, oid, PATHS_CAP + 1)
        if paths is None:
            return None
        return CommitScope(
            oid, self._read_observations([(oid, oid)], None, oid), self._add_paths(paths, PATHS_CAP)
        )

    def _read_module(self, folder: str) -> ModuleScope | None:
        paths = self._add_paths(read_folder_paths(self.connection, folder, MODULE_CAP + 1), MODULE_CAP)
        return ModuleScope(folder, paths) if paths else None

    def _add_paths(self, paths: Sequence[StoredPath], cap: int) -> tuple[str, ...]:
        """Add these paths as members, none if there are more than the cap."""
        if len(paths) > cap:
            return ()
        self.members.update((path_member(path), PairMember(-number, path)) for number, path in paths)
        return tuple(sorted(path for _, path in paths))

    def _read_document(self, session: str) -> tuple[Recorded, ...]:
        return self._read_observations(read_session_documents(self.connection, session), session)

    def _read_observations(
        self, documents: list[tuple[str, str]], session: str | None, commit: str | None = None
    ) -> tuple[Recorded, ...]:
        return tuple(
            recorded for oid, path in documents for recorded in self._read_live(oid, path, session, commit)
        )

    def _read_live(self, oid: str, path: str, session: str | None, commit: str | None) -> Iterator[Recorded]:
        for row in read_observations_of_object(self.connection, oid):
            key = row.key.hex()
            self.members.setdefault(key, PairMember(row.id, row.observation.text, session, commit))
            yield Recorded(key, row.observation, path, session, commit)
