"""What could not be read once is read again, and a sync then leaves what a rebuild leaves."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.memory import FAST_RECIPE, Memory, memory_of

from patina_hooks import Pair, PairGeneratorSpec, SessionScope, hookimpl
from patina_hooks.plugins.manager import Plugins
from patina_hooks.store.facts import counts

SESSION = "20251101-093000"


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    memory = Memory.make(tmp_path / "repository")
    memory.commit("begin", {"README.md": "x"})
    memory.archive(SESSION, decisions=("Use SQLite for the log", "Keep it small"))
    return memory


@contextmanager
def hidden(memory: Memory, revision: str) -> Iterator[None]:
    """Take one object out of the repository for a while."""
    oid = memory.git("rev-parse", revision)
    path = memory.root / ".git" / "objects" / oid[:2] / oid[2:]
    aside = path.rename(memory.root.parent / oid)
    try:
        yield
    finally:
        path.parent.mkdir(exist_ok=True)
        aside.rename(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("diff.orderFile", "nosuch"),
        ("diff.orderFile", "/nosuch/file"),
        ("diff.noprefix", "true"),
        ("diff.relative", "true"),
        ("diff.renames", "copies"),
        ("diff.ignoreSubmodules", "all"),
        ("diff.suppressBlankEmpty", "true"),
        ("diff.submodule", "log"),
        ("log.follow", "true"),
        ("log.showSignature", "true"),
        ("log.mailmap", "true"),
        ("log.diffMerges", "combined"),
        ("log.decorate", "full"),
        ("log.showRoot", "false"),
        ("log.abbrevCommit", "true"),
        ("core.abbrev", "4"),
        ("core.quotePath", "true"),
        ("i18n.logOutputEncoding", "ISO-8859-1"),
        ("format.pretty", "oneline"),
        ("color.ui", "always"),
        ("core.logAllRefUpdates", "false"),
    ],
)
def test_commits_are_read_whole_when_git_is_configured_otherwise(
    memory: Memory, key: str, value: str
) -> None:
    memory.commit("Größere Änderung", {"a/ä.py": "1", "b.py": "2"})
    memory.git("config", key, value)
    memory.sync(quick=True)
    memory.git("config", "--unset", key)
    with memory.log() as log:
        assert log.execute("SELECT count(*) FROM commits WHERE truncated").fetchone() == (0,)
    assert memory.snapshot() == memory.rebuilt()


@pytest.mark.parametrize(
    "what",
    ["HEAD^{tree}", "HEAD:src", "HEAD:layer", "HEAD:layer/sessions", f"HEAD:layer/sessions/{SESSION}.md"],
)
def test_an_object_that_was_absent_once_is_read_when_it_is_back(memory: Memory, what: str) -> None:
    memory.commit("write the parser", {"src/parser.py": "1", f"layer/sessions/{SESSION}.md": document()})
    with hidden(memory, what):
        memory.sync(quick=True)
    memory.sync()
    assert memory.snapshot() == memory.rebuilt()
    with memory.log() as log:
        assert counts(log)["truncated"] == 0


def document() -> str:
    return f"# Session: another\n**ID**: {SESSION}\n\n## Key Decisions\nUse a file for the vectors\n"


def test_a_text_is_embedded_again_when_its_branch_returns_after_gc(memory: Memory) -> None:
    """While the recipe was broken, nothing was taken out of the index."""
    memory.git("switch", "-q", "-c", "side")
    memory.commit("only on the side")
    memory.sync()
    kept = memory.git("rev-parse", "side")
    memory.git("switch", "-q", "main")
    memory.git("branch", "-q", "-D", "side")
    memory.write(".patina/oxidize.yaml", "embedding_model: {\n")
    memory.sync()
    memory_of(memory.repository).gc()
    memory.git("branch", "side", kept)
    memory.sync()
    memory.write(".patina/oxidize.yaml", FAST_RECIPE)
    memory.sync()
    assert memory.patina().status().pending == 0
    assert memory.snapshot() == memory.rebuilt()


def test_a_text_is_embedded_again_when_it_returns_to_a_space_that_is_half_made(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("patina_hooks.search.index.vector_update._CHUNK", 1)
    memory.sync()
    memory.git("switch", "-q", "-c", "side")
    memory.commit("only on the side")
    memory.sync()
    kept = memory.git("rev-parse", "side")
    memory.write(".patina/oxidize.yaml", f"{FAST_RECIPE}index: usearch\n")
    memory.sync()
    memory.git("switch", "-q", "main")
    memory.git("branch", "-q", "-D", "side")
    memory.sync()
    memory_of(memory.repository).gc()
    memory.git("branch", "side", kept)
    memory.write(".patina/oxidize.yaml", FAST_RECIPE)
    memory.sync()
    assert memory.snapshot() == memory.rebuilt()


def test_a_unit_is_paired_again_when_its_generator_failed_once(memory: Memory) -> None:
    sound = Plugins.load()
    spec = PairGeneratorSpec("fickle", 1, "tests_of_pairs:generate", "session")
    sound.register(SimpleNamespace(patina_register_pair_generators=hookimpl(lambda: [spec])), "fickle")
    fails = [True]

    def generate(scope: SessionScope) -> Iterator[Pair]:
        if fails[0]:
            raise OSError("the server is away")
        first, second = scope.document[:2]
        yield Pair("fickle", first.id, second.id, None, 1.0, "")

    sys.modules["tests_of_pairs"] = SimpleNamespace(generate=generate)  # type: ignore[assignment]
    try:
        report = memory.sync(providers=sound)
        assert any("the server is away" in fault.error for fault in report.faults)
        assert "fickle" not in memory.patina().status().pair_kinds
        fails[0] = False
        assert memory.sync(providers=sound, quick=True).faults == ()
        assert memory.sync(providers=sound).faults == ()
        assert memory.patina().status().pair_kinds["fickle"].count > 0
        assert memory.sync(providers=sound).faults == ()
    finally:
        del sys.modules["tests_of_pairs"]
