from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from comparison.word_models import bag_installed
from evaluation.past import Past, make_past


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    return make_past(tmp_path_factory.mktemp("compared") / "repository")


@pytest.fixture
def bag(tmp_path: Path) -> Iterator[None]:
    """The plugin of `comparison.word_models` is installed."""
    with bag_installed(tmp_path / "site"):
        yield
