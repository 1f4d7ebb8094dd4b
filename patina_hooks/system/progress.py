"""Progress on stderr: a bar on a terminal, a line every ten seconds where there is none.

A thread prints the lines, so that a stage that tells nothing (a model that is opened, a database that is
compacted) is no silence either.
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
"""Waits for so many seconds; True where the task ended meanwhile."""


class Show(Protocol):
    """Takes note of a step: so much of a stage is done. detail: what else is to be said of it."""

    def __call__(self, stage: str, done: int, total: int, detail: str = "") -> None: ...


@dataclass(slots=True)
class ProgressLines:
    """What a task does now, in one line. clock: seconds, from any start."""

    task: str
    clock: Clock = time.monotonic
    stage: str = ""
    detail: str = ""
    done: int = 0
    total: int = 0
    begun: float = field(init=False)
    _stage_begun: float = field(init=False)
    _stage_first: int = 0

    def __post_init__(self) -> None:
        self.begun = self._stage_begun = self.clock()

    def update(self, stage: str, done: int, total: int, detail: str = "") -> None:
        """Take note of a step of a stage."""
        self.detail = detail
        if stage != self.stage:
            self.stage, self._stage_begun, self._stage_first = stage, self.clock(), done
        self.done, self.total = done, total

    def line(self) -> str:
        """Say what is under way, how far it came and for how long it still takes, as far as that is known."""
        is_over = self.total > 0 and self.done >= self.total
        name = self.task if is_over else clean_line(self.stage) or self.task
        if is_over or not self.total:
            return f"{name}: running for {_duration(self.clock() - self.begun)}"
        left = self._seconds_left()
        rest = f", about {_duration(left)} left" if left is not None else ""
        detail = f", {clean_line(self.detail)}" if self.detail else ""
        return f"{name}: {self.done:,} of {self.total:,}{detail}{rest}"

    def _seconds_left(self) -> float | None:
        done = self.done - self._stage_first
        if done <= 0:
            return None
        return (self.clock() - self._stage_begun) / done * (self.total - self.done)


@contextmanager
def show_progress(task: str, *, wait: Wait | None = None) -> Iterator[Show]:
    """Give a callback (stage, done, total, detail) that draws one bar for each stage, or feeds the lines.

    task: a noun for what takes its time, until a stage is told. wait: in place of the clock.
    """
    lines, bars, ended = ProgressLines(task), _Bars(), Event()

    def show(stage: str, done: int, total: int, detail: str = "") -> None:
        lines.update(stage, done, total, detail)
        bars.update(stage, done, total, detail)

    def print_lines() -> None:
        while not (wait or ended.wait)(INTERVAL_SECONDS):
            if not bars.is_drawn:
                click.echo(f"patina: {lines.line()}", err=True)

    thread = Thread(target=print_lines, name="patina-progress", daemon=True)
    thread.start()
    try:
        yield show
    finally:
        ended.set()
        if wait is None:
            thread.join()
        bars.finish()


class _Bars:
    """The bar of the stage that is under way; small stages and other outputs than a terminal have none."""

    def __init__(self) -> None:
        self._bar: ProgressBar[str] | None = None
        self._stage = ""

    @property
    def is_drawn(self) -> bool:
        return self._bar is not None

    def update(self, stage: str, done: int, total: int, detail: str) -> None:
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
        self._bar.update(done - self._bar.pos, detail)
        if done >= total:  # what is said next stands on a line of its own
            self.finish()

    def finish(self) -> None:
        if self._bar is not None and (not self._bar.finished or self._bar.pos):
            self._bar.render_finish()
        self._bar = None


def _duration(seconds: float) -> str:
    """ "40 s", "3 min", "2 h 10 min"."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes = round(whole / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
