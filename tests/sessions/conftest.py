from __future__ import annotations

from pathlib import Path

import pytest
from sessions.workbench import Workbench


@pytest.fixture(autouse=True)
def _nobody_elses_configuration(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path_factory.mktemp("home")
    (home / ".gitconfig").write_text("[user]\n\tname = Ada\n\temail = ada@example.invalid\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(home / ".gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    """A repository with one commit on `main`."""
    bench = Workbench.make(tmp_path / "repository")
    bench.commit("first", {"readme": "hello\n"})
    return bench
