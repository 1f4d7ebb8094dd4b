"""Units: what a change makes stale, what is read of it, and what bounds it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from support.memory import Memory, session_document

from patina_hooks import Document, Extraction, ExtractorSpec, Observation, hookimpl
from patina_hooks.pairs import update
from patina_hooks.pairs.scopes import MODULE_CAP, PATHS_CAP, ScopeReader
from patina_hooks.plugins.manager import Plugins
from patina_hooks.specs.plugins import CommitScope, ModuleScope, PairScopeKind, SessionScope
from patina_hooks.store.pairs.pairs import PairKey, PairValue, replace_pairs

Pairs = Mapping[PairKey, PairValue]
FIRST, SECOND, THIRD = "20251101-090000", "20251102-090000", "20251103-090000"


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    memory = Memory.make(tmp_path / "repository")
    memory.commit("begin", {"src/a.py": "1", "src/b.py": "1", "doc/x.md": "1"})
    for session in (FIRST, THIRD):
        memory.archive(session, decisions=(f"chose one in {session}", f"and two in {session}"))
    memory.sync()
    return memory


@pytest.fixture
def renewed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The scopes that were read, in order, as "kind name"."""
    seen: list[str] = []
    read = ScopeReader.read

    def spy(self: ScopeReader, kind: PairScopeKind, name: str) -> object:
        seen.append(f"{kind} {name}")
        return read(self, kind, name)

    monkeypatch.setattr(ScopeReader, "read", spy)
    return seen


def read_scope(memory: Memory, kind: PairScopeKind, name: str) -> object:
    with memory.log() as log:
        return ScopeReader(log).read(kind, name)


def test_a_commit_makes_itself_stale_and_no_folder_that_it_adds_nothing_to(
    memory: Memory, renewed: list[str]
) -> None:
    oid = memory.commit("edit", {"src/a.py": "2"})
    memory.sync()
    assert renewed == [f"commit {oid}"]
    renewed.clear()
    memory.sync()
    assert renewed == []
    oid = memory.commit("add", {"src/c.py": "1", "top.py": "1"})
    memory.sync()
    assert renewed == [f"commit {oid}", "module ", "module src"]


def test_a_path_leaves_its_folder_with_the_last_commit_that_changed_it(
    memory: Memory, renewed: list[str]
) -> None:
    one, two = memory.commit("add", {"src/c.py": "1"}), memory.commit("edit", {"src/c.py": "2"})
    memory.sync()
    renewed.clear()
    memory.git("reset", "-q", "--hard", one)
    memory.sync()
    assert renewed == [f"commit {two}"]
    memory.git("reset", "-q", "--hard", f"{one}~1")
    memory.sync()
    assert renewed[1:] == [f"commit {one}", "module src"]
    assert memory.snapshot() == memory.rebuilt()


def test_a_session_that_comes_between_is_what_the_next_one_looks_back_on(
    memory: Memory, renewed: list[str]
) -> None:
    third = read_scope(memory, "session", THIRD)
    assert isinstance(third, SessionScope)
    assert third.previous_id == FIRST
    assert f"chose one in {FIRST}" in {one.observation.text for one in third.previous}
    assert {one.session for one in third.previous} == {FIRST}
    renewed.clear()
    oid = memory.archive(SECOND, decisions="came between")
    memory.sync()
    assert renewed == [f"commit {oid}", "module layer/sessions", f"session {SECOND}", f"session {THIRD}"]
    third = read_scope(memory, "session", THIRD)
    assert isinstance(third, SessionScope)
    assert third.previous_id == SECOND
    memory.git("rm", "-q", f"layer/sessions/{SECOND}.md")
    memory.commit("and goes")
    renewed.clear()
    memory.sync()
    assert renewed[-2:] == [f"session {SECOND}", f"session {THIRD}"]
    assert memory.snapshot() == memory.rebuilt()


def test_a_draft_is_nothing_to_look_back_on(memory: Memory) -> None:
    memory.write(f"layer/sessions/{SECOND}.md", session_document(SECOND, decisions="a draft"))
    memory.sync()
    assert read_scope(memory, "session", SECOND) is None
    third = read_scope(memory, "session", THIRD)
    assert isinstance(third, SessionScope)
    assert third.previous_id == FIRST


def test_no_more_paths_are_read_than_the_cap_and_one(memory: Memory) -> None:
    def paths(count: int) -> dict[str, str | bytes]:
        return {f"big{count}/{number}.c": "x" for number in range(count)}

    def import_paths(count: int) -> str:
        lines = [
            "commit refs/heads/main", "committer Ada <a@b> 1700000000 +0000", "data 4\nmany", "from HEAD^0",
            *(f"M 100644 inline {path}\ndata 1\nx" for path in paths(count)), "",
        ]  # fmt: skip
        memory.git("fast-import", "--quiet", "--force", text="\n".join(lines))
        return memory.git("rev-parse", "main")

    found: list[tuple[int, int]] = []
    for count in (PATHS_CAP, PATHS_CAP + 1, MODULE_CAP, MODULE_CAP + 9):
        oid = import_paths(count)
        memory.sync()
        commit, module = read_scope(memory, "commit", oid), read_scope(memory, "module", f"big{count}")
        assert isinstance(commit, CommitScope)
        assert isinstance(module, ModuleScope | None)
        found.append((len(commit.paths), len(module.paths) if module else 0))
    assert found == [(PATHS_CAP, PATHS_CAP), (0, PATHS_CAP + 1), (0, MODULE_CAP), (0, 0)]
    rows: list[object] = []

    def count_rows(_: sqlite3.Cursor, row: tuple[object, ...]) -> tuple[object, ...]:
        rows.append(row)
        return row

    with memory.log() as connection:
        connection.row_factory = count_rows
        ScopeReader(connection).read("module", f"big{MODULE_CAP + 9}")
    assert len(rows) == MODULE_CAP + 1
    assert memory.snapshot() == memory.rebuilt()


def test_a_message_that_another_extractor_reads_is_paired_anew(memory: Memory) -> None:
    memory.commit("#42: parse", {"src/a.py": "2"})
    memory.sync()
    before = memory.snapshot()

    class Provider:
        @hookimpl
        def patina_register_extractors(self) -> list[ExtractorSpec]:
            return [ExtractorSpec("tickets", 1, "commit", f"{__name__}:tickets")]

    providers = Plugins.load()
    providers.register(Provider(), "provider")
    memory.sync(providers=providers)
    shown = memory.patina().pairs(kind="commit_files", limit=99)
    assert {pair.anchor for pair in shown if pair.positive == "src/a.py"} >= {"ticket 42", "#42: parse"}
    after = memory.snapshot()
    memory.sync(providers=providers, full=True)
    assert memory.snapshot() == after
    memory.sync()
    assert memory.snapshot() == after
    memory.patina().gc()
    assert memory.snapshot() == before


def tickets(document: Document) -> Extraction:
    found = (Observation("ticket", "ticket 42", 1),) if "#42" in document.text else ()
    return Extraction(found)


def test_paths_beyond_a_shallow_border_come_and_go_with_it(memory: Memory, tmp_path: Path) -> None:
    oid = memory.commit("three", {"lib/a.py": "1", "lib/b.py": "1", "src/a.py": "2"})
    memory.commit("after it")
    memory.git("clone", "-q", "--depth", "2", memory.root.as_uri(), str(tmp_path / "clone"))
    clone = Memory(tmp_path / "clone")
    clone.write(".patina/oxidize.yaml", (memory.root / ".patina/oxidize.yaml").read_bytes())
    clone.sync()
    assert clone.patina().pairs(kind="same_module") == []
    clone.git("fetch", "-q", "--deepen", "1")
    clone.sync()
    assert {pair.commit for pair in clone.patina().pairs(kind="co_changed", limit=99)} == {oid}
    assert {pair.anchor for pair in clone.patina().pairs(kind="same_module", limit=99)} == {
        "lib/a.py", "lib/b.py",
    }  # fmt: skip
    assert clone.snapshot() == clone.rebuilt()
    clone.git("fetch", "-q", "--depth", "2")
    clone.sync()
    assert {pair.session for pair in clone.patina().pairs(limit=99)} == {FIRST, THIRD}
    assert clone.snapshot() == clone.rebuilt()


def test_the_log_is_written_only_where_pairs_differ(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what is generated again, the same rows stay."""
    wrote: set[tuple[str, str]] = set()

    def record(connection: sqlite3.Connection, unit: int, old: Pairs, now: Pairs) -> None:
        before = connection.total_changes
        replace_pairs(connection, unit, old, now)
        if connection.total_changes > before:
            about = (
                "SELECT u.reads || ' ' || u.name, g.name FROM unit u, generator g WHERE u.id = ? AND g.id = ?"
            )
            differing = {key for key in {*old, *now} if old.get(key) != now.get(key)}
            assert connection.total_changes - before == len(differing)
            wrote.update(connection.execute(about, (unit, key[0])).fetchone() for key in differing)

    monkeypatch.setattr(update, "replace_pairs", record)

    def written(change: Callable[[], object]) -> set[tuple[str, str]]:
        """(unit, kind) of pairs that were deleted or inserted."""
        change()
        wrote.clear()
        memory.sync()
        return set(wrote)

    def tag() -> None:
        memory.git("tag", "-a", "-m", "x", f"session-{FIRST}-start", "HEAD~2")
        memory.git("tag", "-a", "-m", "x", f"session-{FIRST}-end", "HEAD~1")

    assert written(tag) == {(f"session {FIRST}", "commit_session")}
    edit = written(lambda: memory.commit("edit", {"src/a.py": "2", "src/b.py": "2"}))
    commit = f"commit {memory.git('rev-parse', 'HEAD')}"
    assert edit == {(commit, "co_changed"), (commit, "commit_files")}


def test_what_a_killed_update_left_stale_is_not_shown_and_done_by_the_next(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {pair.session for pair in memory.patina().pairs(limit=1_000)}
    assert before == {FIRST, THIRD, None}
    memory.git("rm", "-q", f"layer/sessions/{FIRST}.md")
    memory.commit("remove it")

    class Killed(BaseException):
        pass

    def kill(*_: object) -> None:
        raise Killed

    monkeypatch.setattr(update, "_CHUNK", 1)
    with monkeypatch.context() as patch:
        patch.setattr(ScopeReader, "_read_session", kill)
        with pytest.raises(Killed):
            memory.sync()
    assert {pair.session for pair in memory.patina().pairs(limit=1_000)} == {None}
    memory.sync()
    assert {pair.session for pair in memory.patina().pairs(limit=1_000)} == {THIRD, None}
    assert memory.snapshot() == memory.rebuilt()
