"""What the tests of robustness share: a repository with its memory."""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path

import pytest
from support.memory import Memory, plugins

from patina_hooks.config.recipe import Reading
from patina_hooks.models.choice import AUTO
from patina_hooks.plugins.manager import Plugins
from patina_hooks.testing.contract import CheckResult, run_contract


@pytest.fixture(autouse=True)
def _quiet_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No settings of the machine's owner, and no CI, in which hooks are off."""
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    memory = Memory.make(tmp_path / "repository")
    memory.commit("begin", {"README.md": "hello"})
    return memory


@pytest.fixture
def sound_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """The doctor checks the model's contract only once, for tests that damage nothing but the state."""
    # The package has a function of the module's name.
    contract = importlib.import_module("patina_hooks.testing.contract")
    monkeypatch.setattr(contract, "run_contract", _run_once)


def _run_once(
    plugins: Plugins, model: str, runtime: str = AUTO, *, reading: Reading | None = None
) -> list[CheckResult]:
    return _results(model, runtime, reading)


@cache
def _results(model: str, runtime: str, reading: Reading | None) -> list[CheckResult]:
    return run_contract(plugins(), model, runtime, reading=reading)
