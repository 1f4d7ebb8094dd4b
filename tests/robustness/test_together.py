"""Everybody at once: work trees that commit with real hooks and real workers, and nobody notices anybody."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from support.memory import FAST_RECIPE, Memory
from support.workers import all_ended, recorded, wait_for_workers, work

from patina_hooks.git.hooks import install
from patina_hooks.git.lock import SYNC_LOCK, SyncLock
from patina_hooks.upkeep.worker import WORKER_LOCK

_EACH = 15


def test_four_work_trees_and_two_workers(memory: Memory) -> None:
    memory.commit("recipe", {".patina/oxidize.yaml": FAST_RECIPE})
    trees = [memory.root, *(memory.root.with_name(name) for name in ("one", "two", "three"))]
    for tree in trees[1:]:
        memory.git("worktree", "add", "-q", "-b", tree.name, str(tree))
    install(memory.repository, sys.executable)

    def commits(tree: Path) -> None:
        for number in range(_EACH):
            message = f"parse the tree {tree.name} {number}"
            done = subprocess.run(
                ["git", "commit", "-q", "--allow-empty", "-m", message],
                cwd=tree, capture_output=True, text=True, check=False, pass_fds=(passed,),
            )  # fmt: skip
            assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    with all_ended() as passed, ThreadPoolExecutor(6) as pool:
        workers = [pool.submit(work, memory) for _ in range(2)]
        list(pool.map(commits, trees))  # what a thread raised is raised here
        for worker in workers:
            worker.result()
    wait_for_workers(memory)
    with SyncLock(memory.state / WORKER_LOCK), SyncLock(memory.state / SYNC_LOCK):
        everything = memory.git("rev-list", "--all").split()
        assert len(everything) == len(trees) * _EACH + 2
        assert recorded(memory) == {oid: ["commit"] for oid in everything}
        assert memory.snapshot() == memory.rebuilt()
        assert "ERROR" not in (memory.state / "patina.log").read_text()
