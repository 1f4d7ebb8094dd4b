"""The conditions of a query as SQL, each in two forms: a test of one row, and a walk along an index.

The rows are `o` (observation), `s` (source), `d` (document) and `c` (commits, all NULL for a session
document). Values travel as bound parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from patina_hooks.store.corpus.sessions import SESSION_OF_COMMIT

if TYPE_CHECKING:
    from patina_hooks.search.query import Query

UNREACHED: Final = "is_unreached"
_BEFORE_ALL, _AFTER_ALL = -(1 << 62), 1 << 62


@dataclass(frozen=True, slots=True)
class Condition:
    """One restriction of a query.

    test, test_values: an expression over a row. walk, walk_values: a SELECT of the ids of all live
    observations that meet the condition, which ends in its WHERE clause. index, index_values: a SELECT with
    a row for about each commit or observation that the walk visits, "" where that may be all of them.
    of_observation: whether the test reads `o` only.
    """

    test: str
    test_values: tuple[object, ...]
    walk: str
    walk_values: tuple[object, ...]
    index: str
    index_values: tuple[object, ...]
    of_observation: bool = False


def conditions_of(query: Query, session: str | None) -> list[Condition]:
    """Return the conditions of a query except that of its ref. session: the whole id of its session."""
    conditions = []
    if query.kinds:
        conditions.append(_of_kinds(query.kinds))
    if session:
        conditions.append(_of_session(session))
    if query.since is not None or query.until is not None:
        conditions.append(_of_time(query.since, query.until))
    if query.path:
        conditions.append(_of_path(query.path.rstrip("/")))
    return conditions


def ref_condition(*, few: bool) -> Condition:
    """Return the condition that a revision reaches a document.

    `temp.reached` holds the documents of its tree, and, where they are few, its commits; where they are not,
    the function `UNREACHED` knows the commits that it does not reach.
    """
    test = "d.oid IN (SELECT oid FROM temp.reached)"
    if not few:
        test = f"iif(d.path = '', NOT {UNREACHED}(d.oid), {test})"
    documents = "SELECT d.id FROM temp.reached r CROSS JOIN document d ON d.oid = r.oid"
    if not few:
        documents = f"SELECT d.id FROM document d WHERE {test}"
    index = "SELECT 1 FROM temp.reached" if few else ""
    return Condition(test, (), _walk(documents), (), index, ())


def _walk(documents: str) -> str:
    return (
        f"SELECT o.id FROM ({documents}) v CROSS JOIN document d ON d.id = v.id"
        " CROSS JOIN source s ON s.oid = d.oid CROSS JOIN observation o ON o.source_id = s.id"
        " LEFT JOIN commits c ON c.oid = d.oid WHERE o.live"
    )


def _of_kinds(kinds: tuple[str, ...]) -> Condition:
    test = f"o.kind IN ({', '.join('?' * len(kinds))})"
    # The plus: a row that is tested is at hand, and the index would lead to all others of its kind.
    walk = (
        "SELECT o.id FROM observation o CROSS JOIN source s ON s.id = o.source_id"
        f" CROSS JOIN document d ON d.oid = s.oid LEFT JOIN commits c ON c.oid = d.oid"
        f" WHERE o.live AND {test}"
    )
    index = f"SELECT o.id FROM observation o WHERE o.live AND {test}"
    return Condition(f"+{test}", kinds, walk, kinds, index, kinds, of_observation=True)


def _of_session(session: str) -> Condition:
    documents = (
        "SELECT id FROM document WHERE session = ?"
        " UNION SELECT d.id FROM session_commit m CROSS JOIN commits c ON c.id = m.commit_id"
        f" CROSS JOIN document d ON d.oid = c.oid WHERE m.session = ? AND {SESSION_OF_COMMIT} = ?"
        " UNION SELECT d.id FROM session u CROSS JOIN commits c ON c.committed BETWEEN u.started AND u.ended"
        f" CROSS JOIN document d ON d.oid = c.oid WHERE u.id = ? AND NOT u.ranged AND {SESSION_OF_COMMIT} = ?"
    )
    return Condition(
        test=f"coalesce(d.session, {SESSION_OF_COMMIT}) = ?",
        test_values=(session,),
        walk=_walk(documents),
        walk_values=(session,) * 5,
        index="SELECT 1 FROM session_commit WHERE session = ?",
        index_values=(session,),
    )


_WHEN: Final = "coalesce(c.committed, (SELECT started FROM session WHERE id = d.session))"
"""NULL, which is on neither side of any bound, for a document that tells no time."""


def _of_time(since: int | None, until: int | None) -> Condition:
    bounds = (_BEFORE_ALL if since is None else since, _AFTER_ALL if until is None else until)
    documents = (
        "SELECT d.id FROM commits c CROSS JOIN document d ON d.oid = c.oid"
        " WHERE c.committed >= ? AND c.committed < ?"
        " UNION ALL SELECT d.id FROM session t CROSS JOIN document d ON d.session = t.id"
        " WHERE t.started >= ? AND t.started < ?"
    )
    return Condition(
        test=f"{_WHEN} >= ? AND {_WHEN} < ?",
        test_values=bounds,
        walk=_walk(documents),
        walk_values=bounds * 2,
        index="SELECT 1 FROM commits WHERE committed >= ? AND committed < ?",
        index_values=bounds,
    )


_IS_UNDER: Final = "(p.path = ? OR (p.path >= ? AND p.path < ?))"
_TOUCHES: Final = f"SELECT h.commit_id FROM path p CROSS JOIN change h ON h.path_id = p.id WHERE {_IS_UNDER}"


def _of_path(path: str) -> Condition:
    """Return the condition that a commit touched a path or what is under it, or is of a session that did."""
    names = (path, f"{path}/", f"{path}0")  # "0" follows "/"
    documents = (
        f"SELECT d.id FROM commits c CROSS JOIN document d ON d.oid = c.oid WHERE c.id IN ({_TOUCHES})"
        " UNION SELECT d.id FROM document d WHERE d.session IN"
        f" (SELECT {SESSION_OF_COMMIT} FROM commits c WHERE c.id IN ({_TOUCHES}))"
    )
    touched = (
        "EXISTS (SELECT 1 FROM change h CROSS JOIN path p ON p.id = h.path_id"
        f" WHERE h.commit_id = c.id AND {_IS_UNDER})"
    )
    of_session = f"{touched} AND {SESSION_OF_COMMIT} = d.session"
    test = (
        f"({touched} OR d.session IS NOT NULL AND (EXISTS (SELECT 1 FROM session_commit m"
        f" CROSS JOIN commits c ON c.id = m.commit_id WHERE m.session = d.session AND {of_session})"
        " OR EXISTS (SELECT 1 FROM session u"
        " CROSS JOIN commits c ON c.committed BETWEEN u.started AND u.ended"
        f" WHERE u.id = d.session AND NOT u.ranged AND {of_session})))"
    )
    return Condition(test, names * 3, _walk(documents), names * 2, _TOUCHES, names)
