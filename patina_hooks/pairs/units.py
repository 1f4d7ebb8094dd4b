"""What pair generators are given: one session, commit or module, read from the log up to a bound."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from patina_hooks.pairs.sides import path_side
from patina_hooks.specs.plugins import CommitUnit, ModuleUnit, PairUnitKind, SessionUnit
from patina_hooks.specs.values import Observation, Recorded

COMMITS_CAP = 1_000
PATHS_CAP = 50
MODULE_CAP = 200

PairUnit = SessionUnit | CommitUnit | ModuleUnit


@dataclass(frozen=True, slots=True)
class Side:
    """What may stand on a side of a unit's pairs. row: as `pair` stores it. session: whose document says it,
    or whose tag range holds the commit that does."""

    row: int
    text: str
    session: str | None = None
    commit: str | None = None


@dataclass(slots=True)
class UnitReader:
    """One unit as it is now, and its sides by the names that a pair gives them."""

    connection: sqlite3.Connection
    sides: dict[str, Side] = field(default_factory=dict)

    def read(self, reads: PairUnitKind, name: str) -> PairUnit | None:
        """The unit, None where the corpus no longer has it. Drafts are left out: a pair rests on refs."""
        read: dict[PairUnitKind, Callable[[str], PairUnit | None]] = {
            "session": self._session,
            "commit": self._commit,
            "module": self._module,
        }
        return read[reads](name)

    def _session(self, session: str) -> SessionUnit | None:
        documents = self._documents(session)
        ask = (
            "SELECT c.oid FROM session_commit sc JOIN commits c ON c.id = sc.commit_id WHERE sc.session = ?"
            " ORDER BY c.committed, c.oid"
        )
        oids = [row[0] for row in self._few(ask, session, COMMITS_CAP)]
        if not documents and not oids:
            return None
        previous = self._previous(session) if documents else None
        return SessionUnit(
            id=session,
            document=self._said(documents, session),
            commits=tuple((oid, self._said([(oid, oid)], session, oid)) for oid in oids),
            previous=self._said(self._documents(previous), previous) if previous else (),
            previous_id=previous,
        )

    def _commit(self, oid: str) -> CommitUnit | None:
        row = self.connection.execute("SELECT id FROM commits WHERE oid = ?", (oid,)).fetchone()
        if row is None:
            return None
        ask = "SELECT p.id, p.path FROM change h JOIN path p ON p.id = h.path_id WHERE h.commit_id = ?"
        return CommitUnit(oid, self._said([(oid, oid)], None, oid), self._paths(ask, row[0], PATHS_CAP))

    def _module(self, folder: str) -> ModuleUnit | None:
        ask = (
            "SELECT p.id, p.path FROM path p WHERE p.folder = ?"
            " AND EXISTS (SELECT 1 FROM change h WHERE h.path_id = p.id)"
        )
        paths = self._paths(ask, folder, MODULE_CAP)
        return ModuleUnit(folder, paths) if paths else None

    def _documents(self, session: str) -> list[tuple[str, str]]:
        """(oid, path) of what refs hold; an object that lies at several places is one."""
        return self.connection.execute(
            "SELECT oid, min(path) FROM document WHERE session = ? AND work_tree = ''"
            " GROUP BY oid ORDER BY 2, 1",
            (session,),
        ).fetchall()

    def _previous(self, session: str) -> str | None:
        row = self.connection.execute(
            "SELECT session FROM document WHERE session < ? AND work_tree = '' ORDER BY session DESC LIMIT 1",
            (session,),
        ).fetchone()
        return str(row[0]) if row else None

    def _few(self, ask: str, of: int | str, cap: int) -> list[Any]:
        """The rows that are asked for, or none where they are more than the cap: no more are read."""
        rows = self.connection.execute(f"{ask} LIMIT {cap + 1}", (of,)).fetchall()
        return [] if len(rows) > cap else rows

    def _paths(self, ask: str, of: int | str, cap: int) -> tuple[str, ...]:
        rows = self._few(ask, of, cap)
        self.sides.update((path_side(path), Side(-number, path)) for number, path in rows)
        return tuple(sorted(path for _, path in rows))

    def _said(
        self, documents: list[tuple[str, str]], session: str | None, commit: str | None = None
    ) -> tuple[Recorded, ...]:
        return tuple(one for oid, path in documents for one in self._live(oid, path, session, commit))

    def _live(self, oid: str, path: str, session: str | None, commit: str | None) -> Iterator[Recorded]:
        for number, key, kind, text, line, section, weight in self.connection.execute(
            "SELECT o.id, o.key, o.kind, o.text, o.line, o.section, o.weight FROM source s"
            " JOIN observation o ON o.source_id = s.id WHERE s.oid = ? AND o.live ORDER BY o.line, o.key",
            (oid,),
        ):
            self.sides.setdefault(key.hex(), Side(number, text, session, commit))
            yield Recorded(key.hex(), Observation(kind, text, line, section, weight), path, session, commit)
