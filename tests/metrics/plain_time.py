"""Test only: working time minute by minute, which knows weekdays, opening hours, holidays written down and a zone.

It shares nothing with sync_core/estate/calendar.py but what zones are.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo

MINUTES: Final = 24 * 60  # of a UTC day


def days(year: int, *month_and_day: tuple[int, int]) -> frozenset[date]:
    return frozenset(date(year, month, day) for month, day in month_and_day)


# As the authorities published them; one on a weekend is kept on a weekday too.
GERMAN = days(2026, (1, 1), (4, 3), (4, 6), (5, 1), (5, 14), (5, 25), (10, 3), (12, 25), (12, 26)) | days(
    2027, (1, 1), (3, 26), (3, 29), (5, 1), (5, 6), (5, 17), (10, 3), (12, 25), (12, 26)
)
AMERICAN = days(
    2026, (1, 1), (1, 19), (2, 16), (5, 25), (6, 19), (7, 3), (7, 4), (9, 7), (10, 12), (11, 11), (11, 26), (12, 25)
) | days(
    2027, (1, 1), (1, 18), (2, 15), (5, 31), (6, 18), (6, 19), (7, 4), (7, 5), (9, 6), (10, 11), (11, 11), (11, 25),
    (12, 24), (12, 25), (12, 31),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Office:
    zone: str
    opens: time = time(9)
    closes: time = time(17, 30)
    weekdays: tuple[int, ...] = (0, 1, 2, 3, 4)
    closed: frozenset[date] = frozenset()

    def minutes(self, start: datetime, end: datetime) -> int:
        """In [start, end), which are whole minutes."""
        assert not any(moment.second or moment.microsecond for moment in (start, end))
        first, last = start.astimezone(UTC), end.astimezone(UTC)
        if first >= last:
            return 0
        whole = (last.date() - first.date()).days
        between = sum(_until(self, first.date() + timedelta(days=n))[MINUTES] for n in range(whole))
        return between + _until(self, last.date())[_minute(last)] - _until(self, first.date())[_minute(first)]


def _minute(moment: datetime) -> int:
    return moment.hour * 60 + moment.minute


@cache
def _until(office: Office, day: date) -> tuple[int, ...]:
    """Open minutes of a UTC day before each of its minutes, and of all of it."""
    zone, midnight = ZoneInfo(office.zone), datetime.combine(day, time(), UTC)
    found = [0]
    for minute in range(MINUTES):
        local = (midnight + timedelta(minutes=minute)).astimezone(zone)
        at_work = local.weekday() in office.weekdays and local.date() not in office.closed
        found.append(found[-1] + (at_work and office.opens <= local.time() < office.closes))
    return tuple(found)
