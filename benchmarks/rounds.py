"""Measuring: all contenders in each round, by turns first, so that a noisy machine treats them alike."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

from patina_hooks.system.telemetry import disable_telemetry

Contender = Callable[[], float]
_ROOT = Path(__file__).parents[1]


def medians(contenders: Mapping[str, Contender], rounds: int, *, warm: int = 1) -> dict[str, float]:
    """The median of each contender's own figure over `rounds`, after `warm` rounds that do not count."""
    names = list(contenders)
    figures: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(warm + rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            figure = contenders[name]()
            if turn >= warm:
                figures[name].append(figure)
    return {name: median(values) for name, values in figures.items()}


def milliseconds(work: Callable[[], object]) -> float:
    """The wall time of one call."""
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1000


def cpu_milliseconds(work: Callable[[], object]) -> float:
    """The CPU time of one call and of the children that ended in it."""
    begun = _cpu_seconds()
    work()
    return (_cpu_seconds() - begun) * 1000


def _cpu_seconds() -> float:
    import resource

    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def process(command: Sequence[str], folder: Path | None = None) -> float:
    """The wall time in ms of a whole process whose output is captured: also until it lets go of that.

    Raises RuntimeError with what it printed where it fails.
    """
    begun = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    taken = (time.perf_counter() - begun) * 1000
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr or done.stdout}")
    return taken


def child(module: str, *arguments: str) -> dict[str, float]:
    """What one of our modules measured in a process of its own: the JSON that it printed."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    done = subprocess.run(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True, check=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def peak_megabytes() -> float:
    """The most memory that this process has held at once."""
    import resource

    status = Path("/proc/self/status")
    if status.is_file():  # Linux counts a parent's peak into ru_maxrss
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) / 1e3
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def own_environment(home: Path) -> None:
    """Leave the user's git configuration, settings and CI flags out of what is measured."""
    for name in list(os.environ):
        if name.startswith(("GIT_", "PATINA_", "XDG_")) or name == "CI":
            del os.environ[name]
    home.mkdir(parents=True, exist_ok=True)
    (home / ".gitconfig").write_text(
        "[user]\n\tname = Ada\n\temail = ada@example.org\n[gc]\n\tauto = 0\n[init]\n\tdefaultBranch = main\n"
    )
    os.environ["HOME"] = str(home)
    os.environ["GIT_CONFIG_NOSYSTEM"] = "1"
    disable_telemetry()
