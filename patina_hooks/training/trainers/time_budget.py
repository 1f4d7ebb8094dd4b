"""The time limit of a run."""

from __future__ import annotations

import time


class OutOfTime(Exception):
    """The time limit is reached."""


class TimeBudget:
    """A time limit that starts when it is created. seconds: None without a limit."""

    def __init__(self, seconds: float | None) -> None:
        self._start = time.monotonic()
        self._seconds = seconds

    @property
    def spent(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._start

    def remaining(self) -> float | None:
        """Return the remaining seconds, None without a limit."""
        return None if self._seconds is None else max(0.0, self._seconds - self.spent)

    def check(self) -> None:
        """Raise `OutOfTime` if no time remains."""
        if self.remaining() == 0:
            raise OutOfTime
