"""Working time of a legal entity: its weekly hours and public holidays, in its own zone.

Public holidays come from the package `holidays`; a local interval is converted to UTC day by day, so that the
23- and 25-hour days of summer time count right.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import holidays

from sync_core.estate.estate import WorkingTime


@cache
def _holidays(country: str, year: int) -> frozenset[date]:
    code, _, part = country.partition("-")
    return frozenset(holidays.country_holidays(code, subdiv=part or None, years=year))


def is_working_day(day: date, calendar: WorkingTime) -> bool:
    closed = calendar.country is not None and day in _holidays(calendar.country, day.year)
    return day.weekday() in calendar.weekdays and not closed


def working_intervals(
    start: datetime, calendar: WorkingTime, zone: str, *, days: int = 3660
) -> Iterator[tuple[datetime, datetime]]:
    """Open intervals in UTC from `start` on, oldest first, for `days` days at most."""
    local = ZoneInfo(zone)
    first = start.astimezone(local).date()
    for offset in range(days):
        day = first + timedelta(days=offset)
        if not is_working_day(day, calendar):
            continue
        opens = datetime.combine(day, calendar.opens, local).astimezone(UTC)
        closes = datetime.combine(day, calendar.closes, local).astimezone(UTC)
        if closes > start:
            yield max(opens, start), closes


def add_working_hours(start: datetime, hours: float, calendar: WorkingTime, zone: str) -> datetime:
    """The moment (UTC) by which `hours` working hours have passed since `start`."""
    left = timedelta(hours=hours)
    for opens, closes in working_intervals(start, calendar, zone):
        if closes - opens >= left:
            return opens + left
        left -= closes - opens
    raise ValueError(f"no {hours} working hours within ten years; check the calendar's weekdays")


def working_time(start: datetime, end: datetime, calendar: WorkingTime, zone: str) -> timedelta:
    """Working time within [start, end)."""
    total = timedelta()
    for opens, closes in working_intervals(start, calendar, zone, days=(end - start).days + 2):
        if opens >= end:
            break
        total += min(closes, end) - opens
    return total


def working_days_before(end: datetime, days: Sequence[int], calendar: WorkingTime, zone: str) -> list[datetime]:
    """The moments (UTC) since which so many working days have passed until `end`; `days` rise from above 0.

    A working day is the time from opening to closing, never 24 hours.
    """
    local = ZoneInfo(zone)
    day_long = _between(calendar)
    found: list[datetime] = []
    passed = timedelta()
    today = end.astimezone(local).date()
    for offset in range(3660):
        day = today - timedelta(days=offset)
        if not is_working_day(day, calendar):
            continue
        opens = datetime.combine(day, calendar.opens, local).astimezone(UTC)
        closes = min(datetime.combine(day, calendar.closes, local).astimezone(UTC), end)
        worked = max(closes - opens, timedelta())
        while len(found) < len(days) and passed + worked >= days[len(found)] * day_long:
            found.append(closes - (days[len(found)] * day_long - passed))
        if len(found) == len(days):
            return found
        passed += worked
    raise ValueError("no working days within ten years; check the calendar's weekdays")


def _between(calendar: WorkingTime) -> timedelta:
    any_day = date(2026, 1, 1)
    return datetime.combine(any_day, calendar.closes) - datetime.combine(any_day, calendar.opens)
