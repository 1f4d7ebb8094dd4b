"""What pair generators are given: one session, commit or module, read from the log up to a bound."""

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
    read_live_observations,
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
    """What may stand on a side of a scope's pairs. row: as `pair` stores it. session: whose document says it,
    or whose tag range holds the commit that does."""

    row: int
    text: str
    session: str | None = None
    commit: str | None = None


@dataclass(slots=True)
class ScopeReader:
    """One scope as it is now, and its members by the names that a pair gives them."""

    connection: sqlite3.Connection
    members: dict[str, PairMember] = field(default_factory=dict)

    def read(self, kind: PairScopeKind, name: str) -> GeneratorInput | None:
        """The scope, None where the corpus no longer has it. Drafts are left out: a pair rests on refs."""
        read: dict[PairScopeKind, Callable[[str], GeneratorInput | None]] = {
            "session": self._session,
            "commit": self._commit,
            "module": self._module,
        }
        return read[kind](name)

    def _session(self, session: str) -> SessionScope | None:
        documents = read_session_documents(self.connection, session)
        oids = read_session_commits(self.connection, session, COMMITS_CAP + 1)
        oids = oids if len(oids) <= COMMITS_CAP else []
        if not documents and not oids:
            return None
        previous = read_previous_session(self.connection, session) if documents else None
        return SessionScope(
            id=session,
            document=self._said(documents, session),
            commits=tuple((oid, self._said([(oid, oid)], session, oid)) for oid in oids),
            previous=self._document(previous) if previous else (),
            previous_id=previous,
        )

    def _commit(self, oid: str) -> CommitScope | None:
        paths = read_commit_paths(self.connection, oid, PATHS_CAP + 1)
        if paths is None:
            return None
        return CommitScope(oid, self._said([(oid, oid)], None, oid), self._paths(paths, PATHS_CAP))

    def _module(self, folder: str) -> ModuleScope | None:
        paths = self._paths(read_folder_paths(self.connection, folder, MODULE_CAP + 1), MODULE_CAP)
        return ModuleScope(folder, paths) if paths else None

    def _paths(self, paths: Sequence[StoredPath], cap: int) -> tuple[str, ...]:
        """Make these paths members of the scope, or none where there are more than the cap."""
        if len(paths) > cap:
            return ()
        self.members.update((path_member(path), PairMember(-number, path)) for number, path in paths)
        return tuple(sorted(path for _, path in paths))

    def _document(self, session: str) -> tuple[Recorded, ...]:
        return self._said(read_session_documents(self.connection, session), session)

    def _said(
        self, documents: list[tuple[str, str]], session: str | None, commit: str | None = None
    ) -> tuple[Recorded, ...]:
        return tuple(one for oid, path in documents for one in self._live(oid, path, session, commit))

    def _live(self, oid: str, path: str, session: str | None, commit: str | None) -> Iterator[Recorded]:
        for row in read_live_observations(self.connection, oid):
            key = row.key.hex()
            self.members.setdefault(key, PairMember(row.id, row.observation.text, session, commit))
            yield Recorded(key, row.observation, path, session, commit)
