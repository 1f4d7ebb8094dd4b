"""The time that a run may take."""

from __future__ import annotations

import time


class OutOfTime(Exception):
    """It is over."""


class Clock:
    """Runs from when it is made. seconds: None where a run may take all that it needs."""

    def __init__(self, seconds: float | None) -> None:
        self._begun = time.monotonic()
        self._seconds = seconds

    @property
    def spent(self) -> float:
        """Seconds."""
        return time.monotonic() - self._begun

    def left(self) -> float | None:
        """Seconds, None for no end."""
        return None if self._seconds is None else max(0.0, self._seconds - self.spent)

    def check(self) -> None:
        """Raises `OutOfTime` where nothing is left."""
        if self.left() == 0:
            raise OutOfTime
