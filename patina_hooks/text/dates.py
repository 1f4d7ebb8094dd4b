"""Parse dates in git's forms and the user's time zone.

A day means its first moment, so that "since a day" includes it and "until a day" ends before it. A time span
("2 weeks ago") is subtracted from now.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Final

from patina_hooks.errors import UsageError

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH: Final = (
    "(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    "|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEKDAY: Final = (
    "(?P<weekday>mon(?:day)?|tue(?:s(?:day)?)?|wed(?:nesday)?|thu(?:rs(?:day)?)?|fri(?:day)?|sat(?:urday)?"
    "|sun(?:day)?)"
)
_NUMBERS: Final = {
    word: number
    for number, words in enumerate(
        ("", "a an last one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    )
    for word in words.split()
}
_UNIT: Final = r"(sec(?:ond)?|min(?:ute)?|h(?:ou)?r|day|week|month|year)s?"
_SPAN: Final = re.compile(rf"(?:(\d{{1,6}}) ?|({'|'.join(_NUMBERS)}) ){_UNIT}(?= |,|$)")
_CLOCK: Final = r"(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.\d+)?)?"
_ZONE: Final = r"(?P<zone>z|utc|gmt|[+-]\d\d(?::?\d\d)?)"
_HOURS: Final[Mapping[str, int]] = {"midnight": 0, "noon": 12, "tea": 17}
_HOUR: Final = rf"(?P<half>\d{{1,2}}) ?(?P<noon>am|pm)|(?P<named>{'|'.join(_HOURS)})"
_TIME: Final = rf"(?:(?: at)?[ t](?:{_CLOCK}(?: ?{_ZONE})?|{_HOUR}))?"
_TIME_FIRST: Final = re.compile(rf"(?:{_CLOCK}|{_HOUR})(?: (?P<relative>today|yesterday))?")
_DAY_FORMS: Final = tuple(
    re.compile(rf"{day}{_TIME}")
    for day in (
        r"(?P<year>\d{4})[-/.](?P<number>\d{1,2})[-/.](?P<date>\d{1,2})",
        r"(?P<year>\d{4})(?P<number>\d\d)(?P<date>\d\d)",
        r"(?P<date>\d{1,2})\.(?P<number>\d{1,2})\.(?P<year>\d{4})",
        rf"(?:{_WEEKDAY}\.?,? )?(?P<date>\d{{1,2}})(?:st|nd|rd|th)? {_MONTH}\.?(?:,? (?P<year>\d{{4}}))?",
        rf"(?:{_WEEKDAY}\.?,? )?{_MONTH}\.? (?P<date>\d{{1,2}})(?:st|nd|rd|th)?(?:,? (?P<year>\d{{4}}))?",
        rf"{_MONTH}\.?(?: (?P<year>\d{{4}}))?",
        rf"(?P<last>last )?{_WEEKDAY}",
        "(?P<relative>today|yesterday|tomorrow)",
    )
)
_GIT_LOG: Final = re.compile(  # as `git log` prints a date
    rf"{_WEEKDAY} {_MONTH} (?P<date>\d{{1,2}}) {_CLOCK} (?P<year>\d{{4}})(?: {_ZONE})?"
)
_EPOCH: Final = re.compile(rf"@(?P<seconds>-?\d{{1,12}})(?: {_ZONE})?|(?P<bare>\d{{9,12}})")


def parse_date(text: str, now: datetime | None = None) -> int:
    """Parse a date to seconds since 1970, in the local time zone if the text names none.

    Raises `UsageError` if the text is not a date.
    """
    now = (now or datetime.now()).replace(tzinfo=None)
    # git joins words by any of these: "3.days.ago".
    words = " ".join(re.sub(r"(?<=[a-z])[._-]+|[._-]+(?=[a-z])", " ", text.strip().lower()).split())
    try:
        for parser in (_read_word, _read_epoch, _read_span, _read_time, _read_day):
            if (moment := parser(words, now)) is not None:
                return moment
    except (ValueError, OverflowError, OSError):  # the 31st of February, the year 10000
        pass
    raise UsageError(f"invalid date {text!r}; use YYYY-MM-DD, 'yesterday' or '2 weeks ago'")


def _read_word(words: str, now: datetime) -> int | None:
    if words == "now":
        return _seconds(now)
    if words == "never":
        return 0
    return None


def _read_epoch(words: str, now: datetime) -> int | None:
    match = _EPOCH.fullmatch(words)
    if match is None:
        return None
    seconds = int(match["seconds"] or match["bare"])
    datetime.fromtimestamp(seconds, timezone.utc)  # raises for a year outside the calendar
    return seconds


def _read_span(words: str, now: datetime) -> int | None:
    """Read "2 weeks ago", "2.weeks", "1 year 3 months ago", "last month"."""
    rest = words.removesuffix(" ago")
    spans = _SPAN.findall(rest)
    if not spans or _SPAN.sub("", rest).strip(" ,"):
        return None
    moment, seconds = now, 0
    for digits, word, unit in spans:
        number = int(digits) if digits else _NUMBERS[word]
        if unit in _SECONDS:
            seconds += number * _SECONDS[unit]
        else:
            moment = _STEPS[unit](moment, number)
    return _seconds(moment) - seconds


def _read_time(words: str, now: datetime) -> int | None:
    """Read "noon", "17:30", "6am yesterday"; without a day, the last such time."""
    match = _TIME_FIRST.fullmatch(words)
    if match is None:
        return None
    fields = match.groupdict()
    day = now - timedelta(days=fields["relative"] == "yesterday")
    moment = day.replace(hour=0, minute=0, second=0, microsecond=0) + _time_of(fields)
    is_ahead = not fields["relative"] and moment > now
    return _seconds(moment - timedelta(days=is_ahead))


def _read_day(words: str, now: datetime) -> int | None:
    match = _GIT_LOG.fullmatch(words) or next(
        (match for form in _DAY_FORMS if (match := form.fullmatch(words))), None
    )
    if match is None:
        return None
    fields = match.groupdict()
    day = _day_of(fields, now).replace(hour=0, minute=0, second=0, microsecond=0)
    moment = day + _time_of(fields)
    zone = _zone_of(fields.get("zone"))
    return _seconds(moment) if zone is None else int(moment.replace(tzinfo=zone).timestamp())


def _day_of(fields: dict[str, str | None], now: datetime) -> datetime:
    if relative := fields.get("relative"):
        return now + timedelta(days={"today": 0, "yesterday": -1, "tomorrow": 1}[relative])
    number, month, date = fields.get("number"), fields.get("month"), fields.get("date")
    if not number and not month:
        back = (now.weekday() - _WEEKDAYS.index((fields["weekday"] or "")[:3])) % 7
        return now - timedelta(days=back or (7 if fields.get("last") else 0))
    in_year = int(number) if number else _MONTHS.index((month or "")[:3]) + 1
    if year := fields.get("year"):
        return datetime(int(year), in_year, int(date or 1))
    day = datetime(now.year, in_year, int(date or 1))
    return day if day <= now else day.replace(year=now.year - 1)


def _time_of(fields: dict[str, str | None]) -> timedelta:
    if named := fields.get("named"):
        return timedelta(hours=_HOURS[named])
    if half := fields.get("half"):
        if not 1 <= int(half) <= 12:
            raise ValueError(half)
        return timedelta(hours=int(half) % 12 + (12 if fields["noon"] == "pm" else 0))
    hour, minute, second = (int(fields.get(name) or 0) for name in ("hour", "minute", "second"))
    if hour > 23 or minute > 59 or second > 60:
        raise ValueError(hour)
    return timedelta(hours=hour, minutes=minute, seconds=second)


def _zone_of(text: str | None) -> timezone | None:
    if text is None:
        return None
    if text in ("z", "utc", "gmt"):
        return timezone.utc
    digits = text[1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-offset if text[0] == "-" else offset)


def _seconds(moment: datetime) -> int:
    """Return the seconds since 1970 of a local time."""
    return int(moment.timestamp())


def _months_before(moment: datetime, number: int) -> datetime:
    """Return the same day of an earlier month, or the last day of that month."""
    index = moment.year * 12 + moment.month - 1 - number
    first = moment.replace(year=index // 12, month=index % 12 + 1, day=1)
    following = (first + timedelta(days=31)).replace(day=1)
    return first.replace(day=min(moment.day, (following - timedelta(days=1)).day))


_SECONDS: Final = {"sec": 1, "second": 1, "min": 60, "minute": 60, "hr": 3600, "hour": 3600}
_STEPS: Final[dict[str, Callable[[datetime, int], datetime]]] = {
    "day": lambda moment, number: moment - timedelta(days=number),
    "week": lambda moment, number: moment - timedelta(weeks=number),
    "month": _months_before,
    "year": lambda moment, number: _months_before(moment, 12 * number),
}
