"""ISO weeks as people write them, and the window that a question is about when nothing, or only a part, is said."""

import re
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from metrics.asking import InvalidAsk, Window

USUAL: Final = 13  # weeks

_WEEK: Final = re.compile(r"([0-9]{4})-?W([0-9]{2})")
_SEVEN: Final = timedelta(days=7)


def week_name(monday: date) -> str:
    """`2026-W47`."""
    year, week, _ = monday.isocalendar()
    return f"{year:04}-W{week:02}"


def monday_of(text: str, what: str = "week") -> date:
    """The Monday of a week such as `2026-W47`. Raises InvalidAsk."""
    found = _WEEK.fullmatch(text.strip().upper())
    try:
        if found is not None and not 1971 <= int(found[1]) <= 9998:
            raise InvalidAsk(f"{what}: {text.strip()[:20]!r} is not within the years 1971 to 9998")
        if found is not None:
            return date.fromisocalendar(int(found[1]), int(found[2]), 1)
    except ValueError as wrong:
        raise InvalidAsk(f"{what}: there is no week {text[:20]!r}; a year has 52 or 53 of them") from wrong
    raise InvalidAsk(f"{what}: {text[:20]!r} is no ISO week; write it like 2026-W47")


def week_of(moment: datetime, zone: str) -> date:
    """The Monday of the week of a moment in a zone."""
    day = moment.astimezone(ZoneInfo(zone)).date()
    return day - timedelta(days=day.weekday())


def last_ended(now: datetime, zone: str) -> date:
    """The Monday of the last week that is over."""
    return week_of(now, zone) - _SEVEN


def end_of(monday: date, zone: str) -> datetime:
    """The moment at which a week is over, in UTC."""
    after = monday + _SEVEN
    return datetime(after.year, after.month, after.day, tzinfo=ZoneInfo(zone)).astimezone(ZoneInfo("UTC"))


def window(start: str | None, end: str | None, *, now: datetime, zone: str) -> Window:
    """Of `from` and `to`: weeks, of which the last one is in it, or Mondays, of which the last one is not.

    Without `to` it ends with the week of `now`, without `from` it has the usual thirteen weeks. Raises InvalidAsk.
    """
    last = week_of(now, zone) + _SEVEN if end is None else _day(end, "to")
    if end is not None and _WEEK.fullmatch(end.strip().upper()):
        last += _SEVEN
    return Window(last - USUAL * _SEVEN if start is None else _day(start, "from"), last)


def _day(text: str, what: str) -> date:
    given = text.strip()
    try:
        day = date.fromisoformat(given) if "W" not in given.upper() else monday_of(given, what)
    except ValueError as wrong:
        raise InvalidAsk(f"{what}: {text[:20]!r} is neither a week such as 2026-W47 nor a Monday") from wrong
    if not 1971 <= day.year <= 9998:
        raise InvalidAsk(f"{what}: {text[:20]!r} is not within the years 1971 to 9998")
    if day.weekday():
        monday = day - timedelta(days=day.weekday())
        raise InvalidAsk(f"{what}: {day} is no Monday; windows are whole ISO weeks, for instance {monday}")
    return day
