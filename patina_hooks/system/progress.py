"""Show progress on stderr: a bar on a terminal, a line every ten seconds without one.

A thread prints the lines, so that a stage without steps (opening a model, compacting a database) is reported
too.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import TYPE_CHECKING, Protocol

import click

from patina_hooks.text.display import clean_line

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar

INTERVAL_SECONDS = 10.0
_WORTH_A_BAR = 50

Clock = Callable[[], float]
Wait = Callable[[float], bool]
"""Waits for so many seconds; returns whether the task ended meanwhile."""


class ProgressCallback(Protocol):
    """A callback that records how much of a stage is completed.

    detail: an addition to the line.
    """

    def __call__(self, stage: str, completed: int, total: int, detail: str = "") -> None: ...


@dataclass(slots=True)
class ProgressLines:
    """The progress of a task as a line of text.

    clock: seconds, from any start.
    """

    task: str
    clock: Clock = time.monotonic
    stage: str = ""
    detail: str = ""
    completed: int = 0
    total: int = 0
    start_time: float = field(init=False)
    _stage_start: float = field(init=False)
    _stage_first: int = 0

    def __post_init__(self) -> None:
        self.start_time = self._stage_start = self.clock()

    def update(self, stage: str, completed: int, total: int, detail: str = "") -> None:
        """Record a step of a stage."""
        self.detail = detail
        if stage != self.stage:
            self.stage, self._stage_start, self._stage_first = stage, self.clock(), completed
        self.completed, self.total = completed, total

    def line(self) -> str:
        """Format the stage, its progress and the remaining time, as far as they are known."""
        is_over = self.total > 0 and self.completed >= self.total
        name = self.task if is_over else clean_line(self.stage) or self.task
        if is_over or not self.total:
            return f"{name}: running for {_duration(self.clock() - self.start_time)}"
        remaining = self._seconds_left()
        rest = f", about {_duration(remaining)} left" if remaining is not None else ""
        detail = f", {clean_line(self.detail)}" if self.detail else ""
        return f"{name}: {self.completed:,} of {self.total:,}{detail}{rest}"

    def _seconds_left(self) -> float | None:
        completed = self.completed - self._stage_first
        if completed <= 0:
            return None
        return (self.clock() - self._stage_start) / completed * (self.total - self.completed)


@contextmanager
def show_progress(task: str, *, wait: Wait | None = None) -> Iterator[ProgressCallback]:
    """Yield a callback that draws one bar per stage, or updates the lines.

    Args:
        task: a noun for the task, shown until the first stage starts.
        wait: replaces waiting for the interval, for tests.
    """
    lines, bars, ended = ProgressLines(task), _Bars(), Event()

    def record_step(stage: str, completed: int, total: int, detail: str = "") -> None:
        lines.update(stage, completed, total, detail)
        bars.update(stage, completed, total, detail)

    def print_lines() -> None:
        while not (wait or ended.wait)(INTERVAL_SECONDS):
            if not bars.is_drawn:
                click.echo(f"patina: {lines.line()}", err=True)

    thread = Thread(target=print_lines, name="patina-progress", daemon=True)
    thread.start()
    try:
        yield record_step
    finally:
        ended.set()
        if wait is None:
            thread.join()
        bars.finish()


class _Bars:
    """The bar of the current stage.

    Small stages, and outputs other than a terminal, have none.
    """

    def __init__(self) -> None:
        self._bar: ProgressBar[str] | None = None
        self._stage = ""

    @property
    def is_drawn(self) -> bool:
        return self._bar is not None

    def update(self, stage: str, completed: int, total: int, detail: str) -> None:
        if (total < _WORTH_A_BAR and not detail) or not sys.stderr.isatty():
            return
        if self._bar is None or stage != self._stage:
            self.finish()
            self._stage = stage
            self._bar = click.progressbar(
                length=total, label=f"{clean_line(stage):<18}", file=sys.stderr, show_pos=True,
                item_show_func=lambda text: text,
            )  # fmt: skip
            self._bar.render_progress()
        self._bar.update(completed - self._bar.pos, detail)
        if completed >= total:  # later output starts on its own line
            self.finish()

    def finish(self) -> None:
        if self._bar is not None and (not self._bar.finished or self._bar.pos):
            self._bar.render_finish()
        self._bar = None


def _duration(seconds: float) -> str:
    """Format a duration: "40 s", "3 min", "2 h 10 min"."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes = round(whole / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
