from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.excerpt import Place, build_excerpt


@pytest.fixture(scope="session")
def remembered(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The repository of `make demo` after `patina init`; for reading alone."""
    place = build_excerpt(tmp_path_factory.mktemp("demo") / "repository")
    place.run("patina init")
    return place


@pytest.fixture
def place(remembered: Place, tmp_path: Path) -> Iterator[Place]:
    """A copy of it to work in."""
    copy = remembered.copy(tmp_path / "repository", HOME=str(tmp_path))
    yield copy
    copy.settle()
