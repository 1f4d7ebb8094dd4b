"""The real history, commit by commit, with real hooks and real workers: each commit is recorded exactly once,
and what grew step by step equals what is built at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.history import history_folder
from support.memory import FAST_RECIPE, Memory
from support.workers import recorded, wait_for_workers

from patina_hooks.git import stub
from patina_hooks.git.hook_files import EVENTS
from patina_hooks.git.lock import SyncLock
from patina_hooks.upkeep.worker import WORKER_LOCK

_HISTORIES = [folder for folder in [history_folder()] if folder and (folder / "replay.py").is_file()]
_EVENTS_WITH_HOOKS = int(os.environ.get("PATINA_REPLAY_EVENTS", "60"))


def walk(history: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Memory:
    """Have the history made once more, its last events by real `git commit`s with our hooks."""
    hooks, template, place = folder / "hooks", folder / "template", folder / "repository"
    hooks.mkdir()
    (template / "patina").mkdir(parents=True)
    (template / "patina" / stub.SCRIPT).write_bytes(stub.hook_script(sys.executable))
    for event in EVENTS:
        (hooks / event).write_bytes(stub.whole(event))
        (hooks / event).chmod(0o755)
    monkeypatch.setenv("GIT_TEMPLATE_DIR", str(template))
    total = sum(len((history / name).read_text().splitlines()) for name in ("commits.jsonl", "tags.jsonl"))
    recipe = f"mkdir -p .patina && printf '{FAST_RECIPE}' >.patina/oxidize.yaml"
    done = subprocess.run(
        [sys.executable, history / "replay.py", "walk", history, place, "--commit", "--hook-path", hooks,
         "--since", str(max(1, total - _EVENTS_WITH_HOOKS + 1)), "--", "sh", "-c", recipe],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    monkeypatch.delenv("GIT_TEMPLATE_DIR")
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "git printed something"
    return Memory(place)


@pytest.mark.parametrize("history", _HISTORIES, ids=["history"][: len(_HISTORIES)])
def test_the_real_history_with_real_hooks(
    history: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Until the first event has left the recipe, the default model would be asked for: twenty times slower.
    monkeypatch.setenv("PATINA_DISABLE_PLUGINS", "patina-minilm")
    memory = walk(history, tmp_path, monkeypatch)
    wait_for_workers(memory)
    with SyncLock(memory.state / WORKER_LOCK):
        live = set(memory.git("rev-list", "--branches", "--tags=session-*").split())
        for oid, kinds in recorded(memory).items():
            # The walk leaves a line of work and comes back to it when it is merged.
            assert kinds == (["commit", "gone"] * len(kinds))[: len(kinds)]
            assert (kinds[-1] == "commit") == (oid in live)
        assert live <= recorded(memory).keys()
        memory.sync()
        assert memory.snapshot() == memory.rebuilt()
        assert "ERROR" not in (memory.state / "patina.log").read_text()
