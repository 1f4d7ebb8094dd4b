"""Differences and their intervals as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from patina_hooks.evaluation.statistics.intervals import Interval


def render_difference(difference: Interval) -> str:
    """Render a difference with its sign, and its interval if it has one."""
    if difference.low is None or difference.high is None:
        return f"{difference.value:+.3f}"
    return f"{difference.value:+.3f}  {difference.low:+.3f}..{difference.high:+.3f}"
