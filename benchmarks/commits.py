"""What a `git commit` costs with our hook, an empty one, none, and with the pre-commit framework."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

from benchmarks.rounds import medians, milliseconds, process
from benchmarks.stream import git
from benchmarks.table import Bound, Row
from benchmarks.workshop import Workshop, opened

_ROUNDS, _BURSTS, _BURST = 40, 5, 20
_GROUP = "git commit, output captured"
_PRE_COMMIT = """\
repos:
- repo: local
  hooks:
  - {id: nothing, name: nothing, language: system, entry: "true", stages: [post-commit], always_run: true}
"""


def measure(workshop: Workshop) -> Iterator[Row]:
    """Four repositories that differ in their post-commit hook alone; a commit of one changed file each."""
    places = {
        name: workshop.settled_copy(workshop.history, name)
        for name in ("none", "empty", "ours", "pre-commit")
    }
    _empty_hook(places["empty"])
    _our_hook(places["ours"])
    _framework_hook(places["pre-commit"])
    numbers = count()

    def contender(name: str) -> Callable[[], float]:
        def commit() -> float:
            taken = _commit(places[name], next(numbers))
            if name == "ours":
                _wait(places[name])
            return taken

        return commit

    took = medians({name: contender(name) for name in places}, _ROUNDS)
    added = {name: figure - took["none"] for name, figure in took.items()}
    yield Row(_GROUP, "git commit", took["ours"], "ms", took["empty"], "with an empty sh hook", Bound(1.3))
    yield Row(
        _GROUP, "added by the hook", added["ours"], "ms", added["pre-commit"],
        "by pre-commit, one no-op hook", Bound(0.1),
    )  # fmt: skip
    yield Row(_GROUP, "added by the hook", added["ours"], "ms", added["empty"], "by an empty sh hook")
    yield from _bursts(places, numbers)


def _bursts(places: dict[str, Path], numbers: Iterator[int]) -> Iterator[Row]:
    """Commits one upon the other: the worker of the first runs beside the others and shares the machine."""

    def contender(name: str) -> Callable[[], float]:
        def burst() -> float:
            taken = milliseconds(lambda: [_commit(places[name], next(numbers)) for _ in range(_BURST)])
            if name == "ours":
                _wait(places[name])
            return taken / _BURST

        return burst

    took = medians({name: contender(name) for name in ("empty", "ours")}, _BURSTS)
    yield Row(
        _GROUP,
        f"one of {_BURST} at once, worker beside",
        took["ours"],
        "ms",
        took["empty"],
        "with an empty sh hook",
    )
    head = git(places["ours"], "rev-list", "--count", "HEAD")
    with opened(places["ours"]) as patina:
        begun = patina.status().commits
    yield Row(_GROUP, "commits recorded after all that", begun, "", float(head), "commits that HEAD reaches")


def _commit(root: Path, number: int) -> float:
    (root / "notes.txt").write_text(f"{number}\n")
    git(root, "add", "notes.txt")
    return process(["git", "commit", "-q", "-m", f"Change {number} of the notes, to see what it costs"], root)


def _wait(root: Path) -> None:
    """Until our worker has done all, so that it does not run beside what is measured next."""
    from patina_hooks.git import spool
    from patina_hooks.git.lock import SyncLock
    from patina_hooks.upkeep.worker import WORKER_LOCK

    state = root / ".git" / "patina"
    deadline = time.monotonic() + 120
    while spool.pending_bytes(state):
        if time.monotonic() > deadline:
            raise RuntimeError(f"no worker took note of a commit: see {state / 'patina.log'}")
        time.sleep(0.02)
    lock = SyncLock(state / WORKER_LOCK)
    lock.acquire(wait=120)
    lock.release()
    time.sleep(0.1)  # the worker's own end


def _empty_hook(root: Path) -> None:
    hook = root / ".git" / "hooks" / "post-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\n")
    hook.chmod(0o755)


def _our_hook(root: Path) -> None:
    process([str(Path(sys.executable).with_name("patina")), "install"], root)


def _framework_hook(root: Path) -> None:
    (root / ".pre-commit-config.yaml").write_text(_PRE_COMMIT)
    git(root, "add", ".pre-commit-config.yaml")
    git(root, "commit", "-q", "-m", "Add the framework")
    process([sys.executable, "-m", "pre_commit", "install", "--hook-type", "post-commit"], root)
