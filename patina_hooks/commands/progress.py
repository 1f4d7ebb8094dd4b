"""Progress on stderr: a bar with the time left, on a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar

_WORTH_A_BAR = 50


@contextmanager
def progress_bar() -> Iterator[Callable[[str, int, int], None]]:
    """A callback (stage, done, total) that draws one bar a stage; small stages draw none."""
    bars: dict[str, ProgressBar[int]] = {}

    def show(stage: str, done: int, total: int) -> None:
        if total < _WORTH_A_BAR or not sys.stderr.isatty():
            return
        if stage not in bars:
            _finish(bars)
            bars[stage] = click.progressbar(
                length=total, label=f"{stage:<18}", file=sys.stderr, show_pos=True
            )
            bars[stage].render_progress()
        bars[stage].update(done - bars[stage].pos)
        if done >= total:  # what is said next stands on a line of its own
            _finish(bars)

    try:
        yield show
    finally:
        _finish(bars)


def _finish(bars: dict[str, ProgressBar[int]]) -> None:
    for bar in bars.values():
        if not bar.finished or bar.pos:
            bar.render_finish()
    bars.clear()
