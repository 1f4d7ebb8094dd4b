from __future__ import annotations

from pathlib import Path

import pytest
from projection.learning import copy_of, make_history
from support.memory import Memory


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Memory:
    """For reading alone: a history to learn from, synced."""
    memory = make_history(tmp_path_factory.mktemp("learning") / "repository")
    memory.sync()
    return memory


@pytest.fixture
def memory(untrained: Memory, tmp_path: Path) -> Memory:
    """A copy of it to work in."""
    return copy_of(untrained, tmp_path / "repository")
