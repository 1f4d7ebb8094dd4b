"""Garbage: what a branch's return could use goes, what is live stays."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from support.memory import Memory
from support.shell import Shell

from patina_hooks.store.collections import collection_folder
from patina_hooks.store.log import Log
from patina_hooks.upkeep.gc import Freed

SESSION = "20251101-090000"


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    memory = Memory.make(tmp_path / "repository")
    memory.commit("begin", {"README.md": "x"})
    memory.archive(SESSION, decisions="chose sqlite")
    memory.sync()
    return memory


def count(memory: Memory, table: str) -> int:
    with memory.log() as log:
        return int(log.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def test_what_is_live_stays(memory: Memory) -> None:
    before = memory.snapshot()
    assert memory.patina().gc().observations == 0
    assert memory.snapshot() == before
    assert memory.sync().encoded == 0


def test_what_left_is_freed(memory: Memory) -> None:
    before = memory.snapshot()
    memory.git("switch", "-q", "-c", "side")
    memory.archive("20251102-090000", decisions=tuple(f"decision {n}" for n in range(50)))
    memory.commit("only here", {"only/here": "x"})
    memory.sync()
    observations = count(memory, "observation")
    memory.git("switch", "-q", "main")
    memory.git("branch", "-q", "-D", "side")
    memory.sync()
    assert count(memory, "observation") == observations
    freed = memory.patina().gc()
    assert freed.observations > 50
    assert freed.embeddings > 50
    assert freed.bytes > 0
    assert count(memory, "observation") == observations - freed.observations
    assert count(memory, "path WHERE path = 'only/here'") == 0
    assert memory.snapshot() == before
    assert memory.patina().gc() == Freed(0, 0, 0)


def test_what_left_of_documents_is_freed(memory: Memory) -> None:
    before = memory.snapshot()
    memory.git("switch", "-q", "-c", "side")
    memory.commit("write pages", {f"docs/{number}.md": f"Page {number}.\n" for number in range(9)})
    memory.sync()
    other_model = memory.state / "docs/vectors/of-another-model"
    other_model.mkdir()
    memory.git("switch", "-q", "main")
    memory.git("branch", "-q", "-D", "side")
    memory.sync()
    folder = collection_folder(memory.state, "docs")
    with closing(Log(folder, create=False)) as log:
        assert log.connection.execute("SELECT count(*) FROM observation").fetchone() > (9,)
    freed = memory.patina().gc()
    assert freed.observations >= 9
    assert freed.embeddings >= 9
    with closing(Log(folder, create=False)) as log:
        assert log.connection.execute("SELECT count(*) FROM observation WHERE NOT live").fetchone() == (0,)
        assert log.connection.execute("SELECT count(*) FROM source").fetchone() == (1,)
    assert not other_model.exists()
    assert memory.snapshot() == before
    assert memory.patina().gc() == Freed(0, 0, 0)


def test_what_returns_after_it_was_freed_is_made_again(memory: Memory) -> None:
    memory.git("switch", "-q", "-c", "side")
    memory.commit("only here")
    kept = memory.git("rev-parse", "side")
    memory.git("switch", "-q", "main")
    memory.git("branch", "-q", "-D", "side")
    memory.sync()
    memory.patina().gc()
    memory.git("branch", "side", kept)
    memory.sync()
    assert memory.snapshot() == memory.rebuilt()


def test_nothing_is_there_to_free(tmp_path: Path) -> None:
    memory = Memory.make(tmp_path / "repository")
    memory.sync()
    assert memory.patina().gc().observations == 0


def test_what_is_kept_because_of_a_wrong_name_is_said(memory: Memory) -> None:
    memory.write(".patina/oxidize.yaml", "embedding_model: no-such-model\n")
    result = Shell(memory.root).invoke("gc")
    assert (result.exit_code, result.stdout.startswith("freed ")) == (0, True)
    assert "kept the vectors of other models" in result.stderr
    assert "no model is named 'no-such-model'" in result.stderr
