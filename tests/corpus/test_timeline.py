"""Sessions from tags and documents, and which commits are whose: ancestry before time."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timezone
from pathlib import Path

import pytest
from support.memory import Memory

from patina_hooks import ExtractorSpec, hookimpl
from patina_hooks.plugins.manager import Plugins
from patina_hooks.specs.values import Document, Extraction, Session
from patina_hooks.store.corpus.sessions import SESSION_OF_COMMIT, read_session

OUTER, INNER = "20251101-090000", "20251101-100000"


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    memory = Memory.make(tmp_path / "repository")
    memory.commit("begin", {"README.md": "x"})
    return memory


def session(memory: Memory, name: str = OUTER) -> Session | None:
    memory.sync()
    with memory.log() as log:
        return read_session(log, name)


def known(memory: Memory, name: str = OUTER) -> Session:
    found = session(memory, name)
    assert found is not None
    return found


def owner(memory: Memory, oid: str) -> str | None:
    memory.sync()
    with memory.log() as log:
        return _owner(log, oid)


def _owner(log: sqlite3.Connection, oid: str) -> str | None:
    row = log.execute(f"SELECT {SESSION_OF_COMMIT} FROM commits c WHERE c.oid = ?", (oid,)).fetchone()
    return None if row[0] is None else str(row[0])


def at(memory: Memory, year: int, month: int, day: int, hour: int, minute: int = 0) -> None:
    memory.clock = int(datetime(year, month, day, hour, minute, tzinfo=timezone.utc).timestamp()) - 60


def test_tags_make_a_session(memory: Memory) -> None:
    before = memory.git("rev-parse", "HEAD")
    with memory.session(OUTER, "gemini"):
        started = memory.clock
        work = memory.commit("work")
    found = known(memory)
    assert (found.adapter, found.start, found.end) == ("gemini", before, work)
    assert (found.started, found.ended, found.state) == (started, memory.clock, "ended")
    assert (found.title, found.path) == ("", None)


def test_a_document_makes_a_session(memory: Memory) -> None:
    memory.archive(OUTER, title="about sqlite", decisions="chose sqlite")
    found = known(memory)
    assert (found.title, found.adapter, found.state) == ("about sqlite", "claude", "ended")
    assert found.path == f"layer/sessions/{OUTER}.md"
    assert found.started == int(datetime(2025, 11, 3, 16, tzinfo=timezone.utc).timestamp())
    # 09:10 is ten minutes after the id's 09:00, and the minute is not over.
    assert found.ended == found.started + 11 * 60


def test_activity_past_midnight_is_of_the_next_day(memory: Memory) -> None:
    name = "20251101-233000"
    text = f"# Session: late\n**ID**: {name}\n**Started**: 2025-11-02T04:30:00Z\n\n## Activity Log\n"
    memory.commit("archive", {f"layer/sessions/{name}.md": text + "### 00:15 - Update\n\nlate words\n"})
    found = known(memory, name)
    assert found.started is not None
    assert found.ended == found.started + 46 * 60


@pytest.mark.parametrize(("side", "state"), [("start", "open"), ("end", "ended")])
def test_a_lone_tag(memory: Memory, side: str, state: str) -> None:
    memory.git("tag", "-a", "-m", "x", f"session-{OUTER}-{side}")
    found = known(memory)
    assert found.state == state
    assert (found.start is None, found.end is None) == (side == "end", side == "start")


def test_a_draft_is_open_until_it_is_archived(memory: Memory) -> None:
    text = f"# Session: x\n**ID**: {OUTER}\n\n## Goals\n- [ ] y\n"
    memory.write(".patina/local/active/20251130-090000.md", text)
    assert known(memory).state == "open"
    memory.commit("archive", {f"layer/sessions/{OUTER}.md": text})
    (memory.root / ".patina/local/active/20251130-090000.md").unlink()
    assert known(memory).state == "ended"


def test_a_light_tag_has_its_commits_time(memory: Memory) -> None:
    memory.git("tag", f"session-{OUTER}-start")
    assert known(memory).started == int(memory.git("log", "-1", "--format=%ct"))


def test_tags_that_move_or_go_are_followed(memory: Memory) -> None:
    with memory.session(OUTER):
        work = memory.commit("work")
    assert owner(memory, work) == OUTER
    memory.git("tag", "-f", "-a", "-m", "x", f"session-{OUTER}-start", "HEAD")
    assert owner(memory, work) is None
    memory.git("tag", "-d", f"session-{OUTER}-start", f"session-{OUTER}-end")
    assert session(memory) is None


def test_a_session_whose_start_is_its_end_holds_nothing(memory: Memory) -> None:
    with memory.session(OUTER):
        pass
    assert owner(memory, memory.git("rev-parse", "HEAD")) is None


def test_the_innermost_session_holds_a_commit(memory: Memory) -> None:
    with memory.session(OUTER):
        first = memory.commit("of the outer")
        with memory.session(INNER):
            second = memory.commit("of the inner")
        third = memory.commit("of the outer again")
    assert [owner(memory, oid) for oid in (first, second, third)] == [OUTER, INNER, OUTER]


def test_a_range_that_was_rebased_holds_what_is_new(memory: Memory) -> None:
    memory.git("tag", "-a", "-m", "x", f"session-{OUTER}-start")
    memory.git("switch", "-q", "--orphan", "other")
    work = memory.commit("another root")
    memory.git("tag", "-a", "-m", "x", f"session-{OUTER}-end")
    assert owner(memory, work) == OUTER
    assert owner(memory, memory.git("rev-parse", "main")) is None


def test_time_counts_only_without_a_pair_of_tags(memory: Memory) -> None:
    at(memory, 2025, 11, 3, 16, 5)
    by_time = memory.commit("within the minutes of the document")
    at(memory, 2025, 11, 3, 18)
    after = memory.commit("long after")
    memory.archive(OUTER, decisions="x")
    assert owner(memory, by_time) == OUTER
    assert owner(memory, after) is None
    with memory.session(OUTER):
        ranged = memory.commit("in the range")
    assert owner(memory, by_time) is None
    assert owner(memory, ranged) == OUTER


def test_ancestry_goes_before_time(memory: Memory) -> None:
    with memory.session("20251001-090000"):
        at(memory, 2025, 11, 3, 16, 5)
        work = memory.commit("within the minutes of another session's document")
    at(memory, 2025, 11, 3, 18)
    memory.archive(OUTER, decisions="x")
    assert owner(memory, work) == "20251001-090000"


def state_another(document: Document) -> Extraction:
    return Extraction((), fields={"adapter": "another"})


@pytest.mark.parametrize("name", ["aaa", "zzz"])
def test_what_extractors_state_does_not_depend_on_which_came_first(memory: Memory, name: str) -> None:
    class Stating:
        @hookimpl
        def patina_register_extractors(self) -> list[ExtractorSpec]:
            return [ExtractorSpec(name, 1, "session", f"{__name__}:state_another")]

    memory.archive(OUTER)
    memory.sync()
    providers = Plugins.load()
    providers.register(Stating(), "stating")
    memory.sync(providers=providers)
    kept = memory.snapshot()
    with memory.log() as log:
        found = read_session(log, OUTER)
    assert found is not None
    assert found.adapter == ("another" if name == "aaa" else "claude")
    memory.sync(full=True, providers=providers)
    assert memory.snapshot() == kept
