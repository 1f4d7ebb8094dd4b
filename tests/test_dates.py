"""Dates are read as git's users type them, and read and written in the user's time zone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from patina_hooks.errors import UsageError
from patina_hooks.text.date_format import format_day, format_time
from patina_hooks.text.dates import parse_date

NOW = datetime(2026, 3, 11, 10, 30)  # a Wednesday
ZONES = ("UTC", "Asia/Tokyo", "America/Los_Angeles", "Asia/Kathmandu")


@pytest.fixture
def use_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    def use(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    yield use
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", "2026-03-11 10:30"), ("today", "2026-03-11 00:00"), ("yesterday", "2026-03-10 00:00"),
        ("noon", "2026-03-10 12:00"), ("midnight", "2026-03-11 00:00"),
        ("Yesterday 14:00", "2026-03-10 14:00"),
        ("yesterday noon", "2026-03-10 12:00"), ("today at 9am", "2026-03-11 09:00"),
        ("2 weeks ago", "2026-02-25 10:30"), ("3.days.ago", "2026-03-08 10:30"),
        ("a week ago", "2026-03-04 10:30"),
        ("2 weeks", "2026-02-25 10:30"), ("2.weeks", "2026-02-25 10:30"), ("1.day", "2026-03-10 10:30"),
        ("2weeks ago", "2026-02-25 10:30"), ("one month", "2026-02-11 10:30"),
        ("10:00", "2026-03-11 10:00"), ("17:45", "2026-03-10 17:45"), ("6am", "2026-03-11 06:00"),
        ("5 pm", "2026-03-10 17:00"), ("tea", "2026-03-10 17:00"), ("yesterday tea", "2026-03-10 17:00"),
        ("noon yesterday", "2026-03-10 12:00"), ("5pm today", "2026-03-11 17:00"),
        ("two_weeks_ago", "2026-02-25 10:30"), ("1 year 2 months ago", "2025-01-11 10:30"),
        ("last month", "2026-02-11 10:30"), ("10 hours ago", "2026-03-11 00:30"),
        ("wednesday", "2026-03-11 00:00"), ("last wednesday", "2026-03-04 00:00"),
        ("monday", "2026-03-09 00:00"),
        ("last monday", "2026-03-09 00:00"), ("november", "2025-11-01 00:00"), ("nov 23", "2025-11-23 00:00"),
        ("23 Nov 2025", "2025-11-23 00:00"), ("Nov 23, 2025", "2025-11-23 00:00"),
        ("2025-11-23", "2025-11-23 00:00"),
        ("2025-11-23 14:00", "2025-11-23 14:00"), ("2025-11-23T14:00:05", "2025-11-23 14:00"),
        ("2025/11/23", "2025-11-23 00:00"), ("23.11.2025", "2025-11-23 00:00"),
        ("20251123", "2025-11-23 00:00"),
        ("Sun Nov 23 14:00:00 2025", "2025-11-23 14:00"), ("2024-02-29", "2024-02-29 00:00"),
    ],
)  # fmt: skip
def test_date_is_of_the_local_zone_when_it_names_none(
    use_zone: Callable[[str], None], zone: str, text: str, expected: str
) -> None:
    use_zone(zone)
    moment = parse_date(text, NOW)
    assert datetime.fromtimestamp(moment).strftime("%Y-%m-%d %H:%M") == expected
    assert format_day(moment) == expected[:10]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("@1700000000", 1_700_000_000), ("1700000000", 1_700_000_000), ("@0", 0), ("never", 0),
        ("@-1", -1), ("@4102444800", 4_102_444_800), ("2023-11-14T22:13:20Z", 1_700_000_000),
        ("2023-11-15 07:13:20 +0900", 1_700_000_000), ("2023-11-15T03:58:20+05:45", 1_700_000_000),
        ("Tue Nov 14 14:13:20 2023 -0800", 1_700_000_000), ("Tue, 14 Nov 2023 22:13:20 GMT", 1_700_000_000),
    ],
)  # fmt: skip
def test_moment_is_the_same_everywhere_when_the_date_names_its_zone(
    use_zone: Callable[[str], None], zone: str, text: str, seconds: int
) -> None:
    use_zone(zone)
    assert parse_date(text, NOW) == seconds


@pytest.mark.parametrize(
    "text",
    ["", " ", "nonsense", "yesterdayish", "2025-02-31", "2025-13-01", "2025-11-23 25:00", "0000-01-01",
     "-1", "12", "3000000 years ago", "weeks ago", "5 ago", "13pm", "today 13pm", "@99999999999999", "last",
     "nov 31", "24:00", "13am", "2 weekss", "2week days", "0pm", "2 weeks 3", "03/09/2026"],
)  # fmt: skip
def test_date_is_refused_when_it_means_nothing(text: str) -> None:
    with pytest.raises(UsageError, match="use YYYY-MM-DD, 'yesterday' or '2 weeks ago'"):
        parse_date(text, NOW)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text() | st.from_regex(r"(last )?[0-9a-z.:+@-]{0,12}( [0-9a-z:+-]{0,9}){0,4}", fullmatch=True))
def test_any_text_is_a_date_or_refused_when_it_is_typed(text: str) -> None:
    with suppress(UsageError):
        assert isinstance(parse_date(text, NOW), int)


def test_day_begins_at_its_first_moment_when_clocks_change(use_zone: Callable[[str], None]) -> None:
    use_zone("America/Los_Angeles")
    length = parse_date("2026-03-09", NOW) - parse_date("2026-03-08", NOW)
    assert length == 23 * 3600
    assert parse_date("24 hours ago", datetime(2026, 3, 8, 12)) == parse_date("2026-03-07 11:00", NOW)
    assert parse_date("1 day ago", datetime(2026, 3, 8, 12)) == parse_date("2026-03-07 12:00", NOW)


def test_local_time_is_of_the_users_zone_when_a_document_is_in_utc(use_zone: Callable[[str], None]) -> None:
    use_zone("Asia/Kathmandu")
    assert format_time("2025-11-01T20:30:00Z") == "2025-11-02 02:15"
    assert format_time("not a date") == "not a date"


@pytest.mark.parametrize("moment", [None, 1 << 62, -(1 << 62)])
def test_day_is_empty_when_no_calendar_has_the_moment(moment: int | None) -> None:
    assert format_day(moment) == ""
