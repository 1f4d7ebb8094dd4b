from __future__ import annotations

import pytest
from evaluation.past import Past, make_past


@pytest.fixture(scope="session")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    """For reading alone."""
    return make_past(tmp_path_factory.mktemp("past") / "repository")
