from __future__ import annotations

import os

import pytest
from support.graphs import share_graphs


@pytest.fixture(autouse=True)
def _nobody_elses_settings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the user's settings of patina nor variables that point git elsewhere reach a test."""
    for name in list(os.environ):
        if name.startswith(("PATINA_", "GIT_", "HF_")) and name != "PATINA_HISTORY":
            monkeypatch.delenv(name)
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
    cache = tmp_path_factory.mktemp("cache")
    share_graphs(cache)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
