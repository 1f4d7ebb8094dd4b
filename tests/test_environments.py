"""`patina status` compares its plugins with those of the last sync in the background."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from support.memory import Memory, open_model, plugins

from patina_hooks.git.hooks import install
from patina_hooks.plugins.manager import Plugins
from patina_hooks.store.log import Log
from patina_hooks.upkeep.sync import synchronise

ELSEWHERE = "/opt/other/bin/python"


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    memory = Memory.make(tmp_path / "repository")
    memory.commit("begin with marmots")
    return memory


def sync_in_background(memory: Memory, providers: Plugins) -> None:
    """Sync as a worker does that another interpreter runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "executable", ELSEWHERE)
        synchronise(memory.repository, background=True, plugins=providers, open_model=open_model)


def test_status_names_the_plugins_of_the_background_when_the_hooks_run_elsewhere(memory: Memory) -> None:
    providers = Plugins.load(disabled=())
    providers.register(object(), "of-the-editor", distribution="patina-acme")
    sync_in_background(memory, providers)
    assert memory.patina().status().warnings == (), "no hooks are installed"
    install(memory.repository, ELSEWHERE)
    (warning,) = memory.patina().status().warnings
    assert warning == (
        f"the last sync in the background ran {ELSEWHERE} with other plugins:"
        " of-the-editor 0.1.0 (here absent); patina install"
    )
    install(memory.repository)
    assert memory.patina().status().warnings == ()


def test_nothing_is_said_of_the_background_when_its_plugins_are_the_same(memory: Memory) -> None:
    sync_in_background(memory, plugins())
    install(memory.repository, ELSEWHERE)
    assert memory.patina().status().warnings == ()


@pytest.mark.parametrize("forged", ['{"a": 1}', "[1]", "[", '"x"', '["x", 1]', '["x", {"a": 1}]'])
def test_a_forged_environment_is_healed(memory: Memory, forged: str) -> None:
    sync_in_background(memory, plugins())
    install(memory.repository, ELSEWHERE)
    with Log(memory.state) as log, log.writing():
        log.remember("background", forged)
    sync_in_background(memory, plugins())
    assert memory.patina().status().warnings == ()
