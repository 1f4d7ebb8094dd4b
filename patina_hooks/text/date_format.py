"""Format dates in the user's time zone."""

from __future__ import annotations

from datetime import datetime, timezone


def format_day(seconds: int | None) -> str:
    """Format the day of a moment in the user's time zone.

    "" for None or an impossible date.
    """
    try:
        return "" if seconds is None else datetime.fromtimestamp(seconds).strftime("%Y-%m-%d")
    except (ValueError, OverflowError, OSError):
        return ""


def format_time(text: str) -> str:
    """Format a moment of ISO 8601 (by default in UTC) in the user's time zone."""
    try:
        moment = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
        aware = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
        return aware.astimezone().strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return text
