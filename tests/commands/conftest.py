from __future__ import annotations

from pathlib import Path

import pytest
from support.memory import Memory
from support.shell import Shell

SESSION = "20251101-090000"


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    """A repository with a session and a commit of its own, synced."""
    memory = Memory.make(tmp_path / "repository")
    memory.commit("begin with marmots", {"README.md": "x"})
    with memory.session(SESSION):
        memory.commit("teach marmots to parse", {"src/parse.py": "1", "src/tree.py": "1"})
    memory.archive(SESSION, title="marmots parse", goals="parse marmots", decisions="marmots parse by hand")
    memory.sync()
    return memory


@pytest.fixture
def shell(memory: Memory) -> Shell:
    return Shell(memory.root)
