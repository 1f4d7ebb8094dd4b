"""Pairs in the log follow their units, and only theirs; generators come, change, fail and go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.memory import Memory

from patina_hooks import CommitScope, ModuleScope, Pair, PairGeneratorSpec, SessionScope, hookimpl
from patina_hooks.pairs import update
from patina_hooks.pairs.members import path_member
from patina_hooks.pairs.scopes import ScopeReader
from patina_hooks.plugins.calls import PluginFunction
from patina_hooks.plugins.kinds import GENERATORS, Kind
from patina_hooks.plugins.manager import Plugins

FIRST, SECOND = "20251101-090000", "20251102-090000"
SEEN: list[str] = []


def watch(scope: SessionScope) -> Iterator[Pair]:
    SEEN.append(scope.id)
    one, other = scope.document[:2]
    for _ in range(2):  # the same pair twice is one
        yield Pair("watched", one.id, other.id, None, 1.0, "seen")


def fail(scope: SessionScope) -> Iterator[Pair]:
    yield from ()
    raise RuntimeError("no luck")


def path_of_message(scope: CommitScope) -> Iterator[Pair]:
    SEEN.append(scope.oid)
    for message in scope.message[:1]:
        for path in scope.paths:
            yield Pair("path_of_message", path_member(path), message.id, None, 0.5, "")


def first_of_folder(scope: ModuleScope) -> Iterator[Pair]:
    SEEN.append(scope.folder)
    yield Pair(
        "first", path_member(scope.paths[0]), path_member(scope.paths[-1]), None, 1, f"in {scope.folder!r}"
    )


def of_before(scope: SessionScope) -> Iterator[Pair]:
    """With a negative, which is of another session."""
    for old in scope.previous[-1:]:
        goal, chosen = scope.document[:2]
        yield Pair("of_before", goal.id, chosen.id, old.id, 1.0, "")


def own_negative(scope: SessionScope) -> Iterator[Pair]:
    goal, chosen, other = scope.document[:3]
    yield Pair("x", goal.id, chosen.id, other.id, 1.0, "")


def same_negative(scope: CommitScope) -> Iterator[Pair]:
    for message in scope.message[:1]:
        yield Pair("x", message.id, path_member(scope.paths[0]), message.id, 1.0, "")


def with_generator(name: str, version: int = 1, **fields: str) -> Plugins:
    class Provider:
        @hookimpl
        def patina_register_pair_generators(self) -> list[PairGeneratorSpec]:
            spec = PairGeneratorSpec(name, version, f"{__name__}:{name}")
            return [replace(spec, **fields)]  # type: ignore[arg-type]

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


def scopes_of(memory: Memory, kind: str) -> list[str]:
    return [str(row[1]) for row in sorted(memory.snapshot().pairs, key=repr) if row[2] == kind]


def test_only_what_a_sync_touched_is_generated_anew(memory: Memory) -> None:
    providers = with_generator("watch")
    memory.sync(providers=providers)
    assert sorted(SEEN) == [FIRST, SECOND]
    assert scopes_of(memory, "watched") == [f"session {FIRST}", f"session {SECOND}"]
    SEEN.clear()
    memory.commit("unrelated")
    memory.sync(providers=providers)
    assert SEEN == []
    memory.git("tag", "-a", "-m", "x", f"session-{SECOND}-start")
    memory.sync(providers=providers)
    assert SEEN == [SECOND]


def test_a_new_version_reads_everything_anew_and_a_new_evidence_does_not(memory: Memory) -> None:
    memory.sync(providers=with_generator("watch"))
    report = memory.sync(providers=with_generator("watch", 2))
    assert sorted(SEEN) == [FIRST, SECOND]
    assert report.pairs == 0  # the same ones
    for providers in (with_generator("watch", 2), with_generator("watch", 2, evidence="by {scope}")):
        memory.sync(providers=providers)
        assert SEEN == []


def test_a_generator_that_comes_or_goes_leaves_the_pairs_of_others_alone(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = memory.snapshot()
    called: list[str] = []

    really = Plugins.open

    def spy(self: Plugins, kind: Kind[Any], name: str, reference: str) -> PluginFunction:
        opened = really(self, kind, name, reference)
        if kind is not GENERATORS:
            return opened

        def call(scope: object) -> object:
            called.append(reference)
            return opened.function(scope)

        return PluginFunction(opened.plugin, opened.action, reference, call)

    monkeypatch.setattr(Plugins, "open", spy)
    memory.sync(providers=with_generator("watch"))
    assert set(called) == {f"{__name__}:watch"}
    assert scopes_of(memory, "watched")
    with_pairs = memory.snapshot()
    memory.sync()
    assert set(called) == {f"{__name__}:watch"}
    assert memory.snapshot() == with_pairs
    assert memory.patina().gc().pairs == 2
    assert set(called) == {f"{__name__}:watch"}
    assert memory.snapshot() == before


def test_only_what_changed_is_paired_again_when_a_generator_returns(memory: Memory) -> None:
    memory.sync(providers=with_generator("watch"))
    memory.archive(SECOND, goals="another goal", decisions="chose three")
    memory.sync()
    assert scopes_of(memory, "watched") == [f"session {FIRST}"]
    providers = with_generator("watch")
    assert memory.sync(providers=providers).pairs == 1
    assert SEEN == [SECOND]
    made = memory.snapshot()
    memory.sync(providers=providers, full=True)
    assert memory.snapshot() == made


def test_pairs_go_with_their_unit_when_their_generator_is_absent(memory: Memory) -> None:
    memory.sync(providers=with_generator("watch"))
    memory.git("rm", "-q", f"layer/sessions/{SECOND}.md")
    memory.commit("remove it")
    memory.sync()
    assert scopes_of(memory, "watched") == [f"session {FIRST}"]
    assert memory.patina().status().pair_kinds["watched"].count == 1
    SEEN.clear()
    memory.sync(providers=with_generator("watch"))
    assert SEEN == []


def test_a_generator_that_reads_something_else_begins_anew(memory: Memory) -> None:
    memory.sync(providers=with_generator("path_of_message", scope="commit"))
    made = scopes_of(memory, "path_of_message")
    assert made == sorted(f"commit {oid}" for oid in SEEN)
    assert len(made) == 2
    SEEN.clear()
    memory.sync(providers=with_generator("path_of_message", scope="module"))
    assert scopes_of(memory, "path_of_message") == []


def test_a_new_generator_that_is_killed_on_its_way_goes_on(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        memory.commit(f"change {number}", {"a.py": str(number), "b.py": str(number)})
    memory.sync()
    monkeypatch.setattr(update, "_CHUNK", 2)
    providers = with_generator("path_of_message", scope="commit")
    left = 5

    class Killed(BaseException):
        pass

    read = ScopeReader.read

    def kill(self: ScopeReader, *scope: str) -> object:
        nonlocal left
        left -= 1
        if left < 0:
            raise Killed
        return read(self, *scope)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(ScopeReader, "read", kill)
        with pytest.raises(Killed):
            memory.sync(providers=providers)
    assert len(SEEN) == 5
    memory.commit("one more", {"a.py": "last"})  # meanwhile
    memory.sync(providers=providers)
    assert len(SEEN) == 5 + 3 + 1  # the fifth again: its transaction was lost
    made = memory.snapshot()
    memory.sync(providers=providers, full=True)
    assert memory.snapshot() == made
    assert len(scopes_of(memory, "path_of_message")) == 2 + 2 * 5 + 1


def test_a_session_that_goes_takes_its_pairs_along(memory: Memory) -> None:
    memory.git("rm", "-q", f"layer/sessions/{FIRST}.md")
    memory.commit("remove it")
    memory.sync()
    assert set(scopes_of(memory, "same_session")) == {f"session {SECOND}"}


def test_a_generator_that_fails_is_a_fault_and_the_others_go_on(memory: Memory) -> None:
    report = memory.sync(providers=with_generator("fail"))
    (fault,) = report.faults
    assert (fault.plugin, fault.where) == ("provider", "pair generator fail")
    assert fault.error.endswith(f" (in 2 sessions, first session {FIRST})")
    assert set(scopes_of(memory, "same_session")) == {f"session {FIRST}", f"session {SECOND}"}


def test_a_generator_that_cannot_be_opened_reads_everything_once_it_can(memory: Memory) -> None:
    absent = with_generator("watch", generate="no_such_module:watch")
    for _ in range(2):
        (fault,) = memory.sync(providers=absent).faults
        assert (fault.plugin, fault.where) == ("provider", "pair generator watch")
        assert "no_such_module" in fault.error
    memory.archive("20251103-090000", goals="another goal", decisions="chose three")
    memory.sync(providers=absent)
    report = memory.sync(providers=with_generator("watch"))
    assert report.faults == ()
    assert len(scopes_of(memory, "watched")) == len(SEEN) == 3


def test_a_generator_of_folders_sees_paths_as_they_come_and_go(memory: Memory) -> None:
    providers = with_generator("first_of_folder", scope="module")
    memory.sync(providers=providers)
    assert SEEN == ["layer/sessions"]
    oid = memory.commit("two more", {"src/b.py": "", "src/a.py": ""})
    memory.sync(providers=providers)
    shown = memory.patina().pairs(kind="first", limit=1)[0]
    assert (shown.anchor, shown.positive, shown.evidence) == ("src/a.py", "src/b.py", "in 'src'")
    assert (shown.session, shown.commit) == (None, None)
    memory.git("reset", "-q", "--hard", f"{oid}~1")
    memory.sync(providers=providers)
    assert scopes_of(memory, "first") == ["module layer/sessions"]


def test_a_negative_is_of_another_session_and_says_something_else(memory: Memory) -> None:
    assert memory.sync(providers=with_generator("of_before")).faults == ()
    (shown,) = memory.patina().pairs(kind="of_before")
    assert (shown.session, shown.anchor) == (SECOND, "a goal")
    assert shown.negative is not None
    for name, scope in (("own_negative", "session"), ("same_negative", "commit")):
        report = memory.sync(providers=with_generator(name, scope=scope))
        assert {fault.where for fault in report.faults} == {f"pair generator {name}"}
        assert "negative" in report.faults[0].error
        assert scopes_of(memory, "x") == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"weight": 1.5}, {"weight": float("nan")}, {"weight": -0.1}, {"kind": ""}, {"kind": "a\x1b[2J"},
        {"kind": 3}, {"evidence": None}, {"evidence": "\ud800"}, {"evidence": "a\0b"}, {"anchor": []},
        {"positive": "path:README.md"}, {"negative": "00"},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_pair_is_a_fault(
    memory: Memory, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, object]
) -> None:
    def give(scope: SessionScope) -> list[Pair]:
        goal, chosen = scope.document[:2]
        right = Pair("given", goal.id, chosen.id, None, 1.0, "")
        return [right, replace(right, **wrong)]  # type: ignore[arg-type]

    monkeypatch.setitem(globals(), "give", give)
    report = memory.sync(providers=with_generator("give"))
    assert {fault.where for fault in report.faults} == {"pair generator give"}
    assert scopes_of(memory, "given") == []  # all that it gave for the scope, or nothing
    assert scopes_of(memory, "same_session")


def test_a_spec_reads_what_there_is() -> None:
    with pytest.raises(ValueError, match="scope must be session, commit or module, not 'file'"):
        PairGeneratorSpec("x", 1, "a:b", "file")  # type: ignore[arg-type]


def test_new_pairs_are_told_with_their_evidence_and_kept_only_for_listeners(memory: Memory) -> None:
    told: list[Pair] = []

    class Listener:
        @hookimpl
        def patina_pairs_extracted(self, pairs: list[Pair]) -> None:
            told.extend(pairs)

    providers = with_generator("watch")
    providers.register(Listener(), "listener")
    oid = memory.commit("parse", {"src/a.py": "", "src/b.py": ""})
    report = memory.sync(providers=providers)
    assert report.pairs == len(told) > 0
    assert {(pair.kind, pair.evidence) for pair in told} == {
        ("watched", "seen"), ("co_changed", f"changed together in commit {oid}"),
        ("commit_files", f"changed in commit {oid}"), ("same_module", "files of the folder src/"),
    }  # fmt: skip
    assert all(pair.anchor.startswith("path:src/") for pair in told if pair.kind == "co_changed")
    shown = {(pair.kind, pair.evidence) for pair in memory.patina().pairs(limit=1_000)}
    assert {(pair.kind, pair.evidence) for pair in told} <= shown
