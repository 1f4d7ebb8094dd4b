"""Pairs in the log follow their session, and only theirs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.memory import Memory

from patina_hooks import Pair, PairGeneratorSpec, SessionUnit, hookimpl
from patina_hooks.plugins import Plugins

FIRST, SECOND = "20251101-090000", "20251102-090000"
SEEN: list[str] = []


def watch(unit: SessionUnit) -> Iterator[Pair]:
    SEEN.append(unit.id)
    one, other = unit.document[:2]
    for _ in range(2):  # the same pair twice is one
        yield Pair("watched", one.id, other.id, None, 1.0, "seen")


def fail(unit: SessionUnit) -> Iterator[Pair]:
    yield from ()
    raise RuntimeError("no luck")


def with_generator(name: str, version: int = 1) -> Plugins:
    class Provider:
        @hookimpl
        def patina_register_pair_generators(self) -> list[PairGeneratorSpec]:
            return [PairGeneratorSpec(name, version, f"{__name__}:{name}")]

    providers = Plugins.load()
    providers.register(Provider(), "provider")
    SEEN.clear()
    return providers


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    memory = Memory.make(tmp_path / "repository")
    for session in (FIRST, SECOND):
        memory.archive(
            session, goals="a goal", decisions=(f"chose one in {session}", f"and two in {session}")
        )
    memory.sync()
    return memory


def sessions(memory: Memory, kind: str) -> list[str]:
    with memory.log() as log:
        rows = log.execute("SELECT session FROM pair WHERE kind = ? ORDER BY session", (kind,))
        return [row[0] for row in rows]


def test_only_what_a_sync_touched_is_generated_anew(memory: Memory) -> None:
    providers = with_generator("watch")
    memory.sync(providers=providers)
    assert sorted(SEEN) == [FIRST, SECOND]
    assert sessions(memory, "watched") == [FIRST, SECOND]
    SEEN.clear()
    memory.commit("unrelated")
    memory.sync(providers=providers)
    assert SEEN == []
    memory.git("tag", "-a", "-m", "x", f"session-{SECOND}-start")
    memory.sync(providers=providers)
    assert SEEN == [SECOND]


def test_a_new_version_generates_everything_anew(memory: Memory) -> None:
    memory.sync(providers=with_generator("watch"))
    memory.sync(providers=with_generator("watch", 2))
    assert sorted(SEEN) == [FIRST, SECOND]
    memory.sync(providers=with_generator("watch", 2))
    assert SEEN == []


def test_a_generator_that_goes_takes_its_pairs_along(memory: Memory) -> None:
    before = memory.snapshot()
    memory.sync(providers=with_generator("watch"))
    assert sessions(memory, "watched")
    memory.sync()
    assert memory.snapshot() == before


def test_a_session_that_goes_takes_its_pairs_along(memory: Memory) -> None:
    memory.git("rm", "-q", f"layer/sessions/{FIRST}.md")
    memory.commit("remove it")
    memory.sync()
    assert set(sessions(memory, "same_session")) == {SECOND}


def test_a_generator_that_fails_is_a_fault_and_the_others_go_on(memory: Memory) -> None:
    report = memory.sync(providers=with_generator("fail"))
    assert [(fault.plugin, fault.where) for fault in report.faults] == [
        ("fail", f"session {FIRST}"), ("fail", f"session {SECOND}"),
    ]  # fmt: skip
    assert set(sessions(memory, "same_session")) == {FIRST, SECOND}


def test_pairs_are_shown_newest_session_first(memory: Memory) -> None:
    shown = memory.patina().pairs(limit=100)
    assert [pair.session for pair in shown] == sorted((pair.session for pair in shown), reverse=True)
    assert {pair.kind for pair in memory.patina().pairs(kind="goal_observation", limit=100)} == {
        "goal_observation"
    }
    assert len(memory.patina().pairs(limit=1)) == 1
    goal = memory.patina().pairs(kind="goal_observation", limit=1)[0]
    assert goal.anchor == "a goal"
    assert SECOND in goal.positive
