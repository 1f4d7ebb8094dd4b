"""Filters give what a filter that looks at every observation gives, and no statement looks at every row."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.memory import Memory

from patina_hooks.search.filters import filters
from patina_hooks.search.filters.filters import Filters
from patina_hooks.search.query import Query
from patina_hooks.search.retrieval.lexical import Words
from patina_hooks.store.corpus.sessions import SESSION_OF_COMMIT

TAGGED, UNTAGGED, LATER = "20231114-230000", "20231115-010000", "20231115-090000"
BEGUN = 1_700_000_000
WIDE = {"_NARROW_INDEX": -1, "_NARROW_TABLE": -1, "_NARROW_REF": -1, "_NARROW_SHARE": 10**9}
EVALUATED = {"_NARROW_INDEX": 10**6, "_NARROW_TABLE": 10**6, "_NARROW_REF": 10**6}


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Memory:
    memory = Memory.make(tmp_path_factory.mktemp("exact") / "repository")
    memory.commit("begin with marmots", {"README.md": "x"})
    with memory.session(TAGGED):
        for number in range(6):
            memory.commit(
                f"teach marmots to parse {number}\n\nthe marmots agree", {f"src/{number % 3}.py": str(number)}
            )
    memory.archive(TAGGED, title="marmots parse", decisions=("marmots by hand", "cache marmots"))
    memory.clock = BEGUN + 90 * 60
    for number in range(4):
        memory.commit("marmots at work", {"src/deep/work.py": str(number)})
    memory.archive(UNTAGGED, title="marmots work", decisions="marmots rest", patterns="marmots first")
    memory.git("branch", "early", "HEAD~5")
    memory.git("switch", "-q", "-c", "side")
    with memory.session(LATER):
        memory.commit("store marmots", {"src0/db.py": "1", "docs/a.md": "1"})
    memory.archive(LATER, title="marmots stay", decisions="marmots live in sqlite", goals="keep marmots")
    memory.commit("undated marmots", {"layer/sessions/free.md": "# Marmots\nmarmots keep no calendar\n"})
    memory.git("switch", "-q", "main")
    memory.commit("feed the marmots")
    memory.sync()
    return memory


@contextmanager
def limits(values: dict[str, Any]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setattr(filters, name, value)
        yield


QUERIES = st.builds(
    Query,
    text=st.sampled_from(["marmots", "marmots sqlite", "cache the parse", "work"]),
    limit=st.integers(1, 30),
    mode=st.sampled_from(["hybrid", "lexical", "vector"]),
    kinds=st.sampled_from([(), (), ("commit",), ("decision", "goal"), ("pattern",), ("challenge",)]),
    session=st.sampled_from([None, None, None, TAGGED, UNTAGGED, LATER]),
    since=st.none() | st.integers(BEGUN - 600, BEGUN + 10_000),
    until=st.none() | st.integers(BEGUN - 600, BEGUN + 10_000),
    ref=st.sampled_from([None, None, "main", "side", "early"]),
    path=st.sampled_from([None, None, "src", "src/", "src/1.py", "src/deep", "docs", "sr", "README.md"]),
)


def expected_ids(memory: Memory, query: Query) -> set[int]:
    """The observations that a query allows, each looked at by itself."""
    with memory.log() as log:
        rows = log.execute(
            f"SELECT o.id, o.kind, d.oid, coalesce(d.session, {SESSION_OF_COMMIT}),"
            " coalesce(c.committed, (SELECT started FROM session WHERE id = d.session)), d.session, c.id"
            " FROM observation o JOIN source s ON s.id = o.source_id JOIN document d ON d.oid = s.oid"
            " LEFT JOIN commits c ON c.oid = d.oid WHERE o.live"
        ).fetchall()
        path = (query.path or "").rstrip("/")
        touching = {
            row[0]
            for row in log.execute("SELECT h.commit_id, p.path FROM change h JOIN path p ON p.id = h.path_id")
            if row[1] == path or row[1].startswith(f"{path}/")
        }
    sessions = {row[3] for row in rows if row[6] in touching}
    reached = set()
    if query.ref:
        reached = set(memory.git("rev-list", query.ref).split())
        reached |= set(memory.git("ls-tree", "--format=%(objectname)", f"{query.ref}:layer/sessions").split())
    return {
        number
        for number, kind, oid, session, when, own, commit in rows
        if not query.kinds or kind in query.kinds
        if query.session is None or session == query.session
        if query.since is None or (when is not None and when >= query.since)
        if query.until is None or (when is not None and when < query.until)
        if query.ref is None or oid in reached
        if query.path is None or commit in touching or (own is not None and own in sessions)
    }


@given(query=QUERIES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_filters_allow_the_expected_observations_when_narrow_and_when_wide(
    memory: Memory, query: Query
) -> None:
    expected = expected_ids(memory, query)
    with memory.log() as log:
        every = [row[0] for row in log.execute("SELECT id FROM observation WHERE live")]
        unfiltered = Words(log, query.text).observations(10**6)
        for values in (WIDE, EVALUATED):
            with limits(values):
                allowed = Filters(log).allowed(memory.repository, query, "layer/sessions")
                assert allowed.among(every) == expected
                rows = Words(log, query.text).observations(10**6, allowed)
                assert rows == [row for row in unfiltered if row[0] in expected]


@given(query=QUERIES)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_hits_are_the_same_when_a_filter_is_evaluated_and_when_candidates_are_tested(
    memory: Memory, query: Query
) -> None:
    answers = []
    for values in (WIDE, EVALUATED, {**WIDE, "_PREFIXES": ()}):
        with limits(values), memory.patina() as patina:
            first = patina._engine._answer(query)
            assert patina._engine._answer(query) == first
            answers.append(first)
    assert answers[1:] == answers[:-1]


def test_a_filter_follows_the_log_when_a_commit_arrives(tmp_path: Path) -> None:
    memory = Memory.make(tmp_path / "repository")
    memory.commit("begin with marmots")
    memory.sync()
    with memory.patina() as patina:
        assert len(patina.search("marmots", kinds="commit")) == 1
        memory.commit("feed the marmots")
        memory.sync()
        assert len(patina.search("marmots", kinds="commit")) == 2


CONDITIONS: tuple[dict[str, Any], ...] = (
    {"kinds": "decision"}, {"session": TAGGED}, {"since": BEGUN}, {"until": BEGUN + 6_000}, {"path": "src"},
    {"ref": "early"}, {"ref": "main"}, {"since": BEGUN, "path": "src", "kinds": "commit"},
)  # fmt: skip


@pytest.mark.parametrize("values", [WIDE, EVALUATED], ids=["wide", "narrow"])
@pytest.mark.parametrize("conditions", CONDITIONS, ids=str)
def test_no_statement_of_a_filtered_question_looks_at_every_row(
    memory: Memory, conditions: dict[str, Any], values: dict[str, Any]
) -> None:
    statements: list[str] = []
    with limits(values), memory.patina() as patina:
        patina.search("marmots")
        with patina._engine.reading() as log:
            connection = log.connection
        connection.set_trace_callback(statements.append)
        patina.search("fix the marmots", **conditions)
        connection.set_trace_callback(None)
        plans = {statement: _plan(connection, statement) for statement in statements if _is_query(statement)}
    assert any("MATCH" in statement for statement in plans)
    for statement, plan in plans.items():
        assert not re.search(
            r"SCAN (o|d|c|h|p|s|change|commits|observation|document|source|path)\b(?! .*CONSTANT)", plan
        ), f"{statement}\n{plan}"
        # A rowid that is handed to FTS5 shows as "=" in its plan: the whole MATCH would run for each.
        assert not re.search(r"VIRTUAL TABLE INDEX \d+:.*=", plan), f"{statement}\n{plan}"


def _is_query(statement: str) -> bool:
    return statement.startswith(("SELECT", "INSERT")) and "json_each" not in statement


def _plan(connection: sqlite3.Connection, statement: str) -> str:
    return "\n".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}"))
