"""What a query is restricted to, at a cost that follows what it allows or what it finds.

A narrow filter is evaluated once into a temporary table, along the index of its narrowest condition, and
kept for the next question with the same filter until the log changes. A wide filter is not evaluated: more
candidates than needed are fetched, best first, and tested; only where that gives too few, the filter is
evaluated as well. Both ways give the same answers.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from patina_hooks.corpus.folder_stamps import hash_border
from patina_hooks.errors import GitError, UsageError
from patina_hooks.git.repository import Repository
from patina_hooks.search.filters.paths import recorded_path
from patina_hooks.specs.sources import HISTORY
from patina_hooks.store.corpus.chains import read_reach
from patina_hooks.store.database.connection import read_data_version
from patina_hooks.store.search import filters as store
from patina_hooks.store.search.filters import Condition, RowFilter

if TYPE_CHECKING:
    from patina_hooks.search.query import Query

KINDS: Final = (
    *("decision", "pattern", "work", "challenge", "next", "discussion", "note", "activity"),
    *("goal", "context", "prompt", "text", "commit", "body"),
)
"""The kinds of observations that patina's own extractors make, whether or not a memory holds any."""

_NARROW_INDEX: Final = 4_000
"""Commits or observations that an index may lead to before its condition counts as wide."""
_NARROW_SHARE: Final = 8
"""Of how many commits or observations one may be allowed before a condition counts as wide."""
_NARROW_REF: Final = 1_000
"""Commits that a ref may reach before its condition counts as wide."""
_NARROW_TABLE: Final = 20_000
"""Observations that a filter may allow before it counts as wide."""
_STEP: Final = 50
_PREFIXES: Final = (2, 4, 8)
"""How many times as many candidates as needed are fetched, before a wide filter is evaluated."""

Row = TypeVar("Row", bound=Sequence[Any])
Key = TypeVar("Key", int, bytes)


class Allowed:
    """The observations that may answer a query: all of them where there is no condition."""

    def __init__(self, connection: sqlite3.Connection, conditions: Sequence[Condition] = ()) -> None:
        self._connection = connection
        self._conditions = conditions
        self._evaluated = False
        self._tested: dict[object, bool] = {}
        self._enough = 0  # of `_PREFIXES`, what sufficed for the question before
        self._text_keys: frozenset[bytes] | None = None
        self._places: frozenset[tuple[str | None, str]] | None = None
        if conditions:
            self._evaluate_if_narrow()

    @property
    def everything(self) -> bool:
        """Whether there is no condition."""
        return not self._conditions

    @property
    def rows(self) -> RowFilter:
        """Return what restricts a row of `observation`."""
        return store.row_filter(self._conditions, evaluated=self._evaluated)

    def best(
        self,
        fetch: Callable[[int], list[Row]],
        keep: Callable[[list[Row]], list[Row]],
        exactly: Callable[[], list[Row]],
        limit: int,
    ) -> list[Row]:
        """Return the `limit` best rows that are allowed.

        Args:
            fetch: the best rows (key, score, ...), so many of them, allowed or not, best first.
            keep: those rows of a list that are allowed.
            exactly: the best rows that are allowed, of a filter that is evaluated.
            limit: how many rows to return at most.
        """
        if self.everything:
            return fetch(limit)
        if not self._evaluated:
            for times in _PREFIXES:
                if times < self._enough:
                    continue
                rows = fetch(times * limit)
                whole = len(rows) < times * limit
                # Which of several equal rows came last is not known.
                sure = rows if whole else [row for row in rows if row[1] != rows[-1][1]]
                passing = _first_kept(sure, keep, limit)
                if whole or len(passing) == limit:
                    self._enough = times
                    return passing
            self._evaluate()
        return exactly()

    def among(self, ids: Iterable[int]) -> set[int]:
        """Return which of these observations are allowed."""
        return self._passing(ids, store.is_allowed)

    def texts_among(self, keys: Iterable[bytes]) -> set[bytes]:
        """Return which of these texts an allowed observation says."""
        return self._passing(keys, store.is_text_allowed)

    def _passing(
        self, keys: Iterable[Key], test: Callable[[sqlite3.Connection, Key, RowFilter], bool]
    ) -> set[Key]:
        """Return the ids or texts that pass a test; each is tested once per filter."""
        passing, rows = set(), self.rows
        for key in keys:
            if key not in self._tested:
                self._tested[key] = test(self._connection, key, rows)
            if self._tested[key]:
                passing.add(key)
        return passing

    def text_keys(self) -> frozenset[bytes]:
        """Return the texts of all allowed observations, of a filter that is evaluated."""
        if self._text_keys is None:
            self._text_keys = store.allowed_texts(self._connection)
        return self._text_keys

    def may_have(self, session: str | None, path: str) -> bool:
        """Return False where no document of a session, or at a path, has an allowed observation."""
        if self.everything or not self._evaluated:
            return True
        if self._places is None:
            documents = store.allowed_documents(self._connection)
            self._places = frozenset(
                [(session, "") for session, _ in documents] + [(None, path) for _, path in documents]
            )
        return ((session, "") if session else (None, path)) in self._places

    def _evaluate_if_narrow(self) -> None:
        walk = min(self._conditions, key=self._count)
        count, total = self._count(walk), self._total(walk)
        least = _NARROW_TABLE if self._is_listed_by_index else _NARROW_INDEX
        most = max(least, total // _NARROW_SHARE)
        if count <= most:
            self._fill(walk, max(_NARROW_TABLE, 4 * most))
        elif count:
            # Fewer candidates than this share asks for would hardly hold enough that pass.
            sufficient = (times for times in _PREFIXES if times * count >= total)
            self._enough = next(sufficient, _PREFIXES[-1] if _PREFIXES else 0)

    @property
    def _is_listed_by_index(self) -> bool:
        """Whether the rows of the one condition's index are the observations that it allows."""
        return len(self._conditions) == 1 and self._conditions[0].of_observation

    def _evaluate(self) -> None:
        self._fill(min(self._conditions, key=self._count), None)

    def _count(self, condition: Condition) -> int:
        return store.count_of_index(self._connection, condition)

    def _total(self, condition: Condition) -> int:
        return store.count_of_table(self._connection, condition)

    def _fill(self, walked: Condition, most: int | None) -> None:
        """List what is allowed along one condition's index; too many rows leave the filter unevaluated."""
        remaining = [condition for condition in self._conditions if condition is not walked]
        self._evaluated = store.fill_allowed(self._connection, walked, remaining, most)


def _first_kept(rows: list[Row], keep: Callable[[list[Row]], list[Row]], limit: int) -> list[Row]:
    """Return the first `limit` rows that are kept, testing few more than that."""
    passing: list[Row] = []
    at = 0
    while at < len(rows) and len(passing) < limit:
        step = max(limit - len(passing), _STEP)
        passing += keep(rows[at : at + step])
        at += step
    return passing[:limit]


class Filters:
    """The filter of the last question on one connection, which writes nothing to the log."""

    def __init__(self, connection: sqlite3.Connection, collection: str = HISTORY) -> None:
        self._connection = connection
        self._is_history = collection == HISTORY
        self._last: tuple[object, Allowed] = (None, Allowed(connection))

    def allowed(self, repository: Repository, query: Query, folder: str) -> Allowed:
        """Return what a query allows.

        Args:
            repository: where a ref is looked up.
            query: the question with its filters.
            folder: where session documents are archived.

        Raises:
            UsageError: a kind or a field that nothing has, an unknown session or an unknown ref.
        """
        kinds = tuple(_recorded_kind(self._connection, kind) for kind in query.kinds)
        path = recorded_path(self._connection, query.path) if query.path else query.path
        query = replace(query, kinds=kinds, path=path)
        _refuse_unknown_fields(self._connection, query.fields)
        session = _session_id(self._connection, query.session) if query.session else None
        commit = _commit_of(repository, query.ref) if query.ref else None
        version = read_data_version(self._connection)
        key = (
            version, folder, query.kinds, query.fields, session, query.since, query.until, query.path, commit,
        )  # fmt: skip
        if key != self._last[0]:
            self._last = (None, self._last[1])
            conditions = _conditions_of(query, session, self._is_history)
            if commit:
                conditions.append(self._reached(repository, commit, folder))
            self._last = (key, Allowed(self._connection, conditions))
        return self._last[1]

    def _reached(self, repository: Repository, commit: str, folder: str) -> Condition:
        """Return the condition of a ref, its tables filled with what it reaches."""
        if not self._is_history:
            files = [entry.oid for entry in repository.files(commit)]
            return store.reached_condition(self._connection, files, {}, is_narrow=True)
        blobs = [entry.oid for entry in repository.tree(f"{commit}:{folder}")]
        commits, reach = self._reached_commits(repository, commit)
        count = len(commits) + sum(position + 1 for position in reach.values())
        oids = [*blobs, *commits]
        return store.reached_condition(self._connection, oids, reach, is_narrow=count <= _NARROW_REF)

    def _reached_commits(self, repository: Repository, commit: str) -> tuple[list[str], dict[int, int]]:
        """Return the recorded commits that a commit reaches: some by id, among others, the rest by chain.

        Git is asked only for what lies between a commit that is not recorded and the recorded ones.
        """
        if store.read_border(self._connection) == hash_border(repository.shallow()):
            reach = read_reach(self._connection, [commit])
            if reach is not None:
                return [], reach
            # To exclude one old branch that is merged, git would walk through all of history.
            tips = store.read_uncovered_targets(self._connection)
            try:
                commits, border = repository.reachable_with_border([commit], tips)
                reach = read_reach(self._connection, border)
                if reach is not None:
                    return commits, reach
            except GitError:  # a tip was pruned since the last sync
                pass
        return repository.reachable([commit]), {}


def _conditions_of(query: Query, session: str | None, is_history: bool) -> list[Condition]:
    """Return the conditions of a query except that of its ref.

    Args:
        query: the question with its filters.
        session: the whole id of its session.
        is_history: whether a path is one that commits touched, and not that of a document.
    """
    conditions = []
    if query.kinds:
        conditions.append(store.kinds_condition(query.kinds))
    conditions += [store.field_condition(name, value) for name, value in query.fields]
    if session:
        conditions.append(store.session_condition(session))
    if query.since is not None or query.until is not None:
        conditions.append(store.time_condition(query.since, query.until))
    if query.path:
        of_path = store.path_condition if is_history else store.document_path_condition
        conditions.append(of_path(query.path.rstrip("/")))
    return conditions


def _recorded_kind(connection: sqlite3.Connection, kind: str) -> str:
    """Return a kind as observations have it: "Decision" is "decision" unless both exist."""
    for form in (kind, kind.lower()):
        if form in KINDS or store.has_kind(connection, form):
            return form
    kinds = dict.fromkeys([*KINDS, *store.read_kinds(connection)])
    raise UsageError(f"unknown kind {kind!r}; choose from {', '.join(kinds)}")


def _refuse_unknown_fields(connection: sqlite3.Connection, fields: Iterable[tuple[str, str]]) -> None:
    for name, _ in fields:
        if not store.has_field(connection, name):
            names = ", ".join(store.read_field_names(connection))
            hint = f"one of {names}" if names else "patina plugins"
            raise UsageError(f"no observation has a field {name!r}", hint=hint)


def _session_id(connection: sqlite3.Connection, prefix: str) -> str:
    """Return the id of the one session whose id begins so."""
    ids = store.sessions_with_prefix(connection, prefix)
    if not ids:
        raise UsageError(f"no session {prefix!r} is recorded", hint="patina session list")
    if len(ids) > 1:
        some = ", ".join(ids[:3]) + (", ..." if len(ids) > 3 else "")
        raise UsageError(f"{len(ids)} sessions begin with {prefix!r}: {some}", hint="patina session list")
    return ids[0]


def _commit_of(repository: Repository, ref: str) -> str:
    commit = repository.resolve(ref)
    if commit is None:
        raise UsageError(f"{ref!r} names no commit in this repository", hint="git branch --all")
    return commit
