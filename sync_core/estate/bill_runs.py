"""Bill runs: the days of the month on which a legal entity invoices. Pure.

A run is taken to begin when the entity's working day does: what is not in its ERP by then misses it.
"""

import calendar
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sync_core.estate.estate import Entity


def next_bill_run(entity: Entity, now: datetime) -> datetime | None:
    """The next run after `now`, UTC; None for an entity without any. A day that a month lacks is its last one."""
    zone = ZoneInfo(entity.timezone)
    runs = (
        datetime.combine(day, entity.working_time.opens, zone).astimezone(UTC)
        for month in _months(now.astimezone(zone).date())
        for day in sorted({_day(month, number) for number in entity.bill_runs})
    )
    return next((run for run in runs if run > now), None)


def billing_run(entity: Entity, bill_on: date | None, now: datetime) -> datetime | None:
    """The run that bills what is due on that day: the first on or after it that is still to come, UTC."""
    if bill_on is None:
        return next_bill_run(entity, now)
    begins = datetime.combine(bill_on, time(), ZoneInfo(entity.timezone)).astimezone(UTC)
    return next_bill_run(entity, max(now, begins - timedelta(microseconds=1)))


def by_day(entity: Entity, now: datetime, *, days: int) -> Iterator[tuple[date, datetime]]:
    """The run that bills each day, from today in the entity's zone on; nothing for an entity without any."""
    today = now.astimezone(ZoneInfo(entity.timezone)).date()
    at: datetime | None = None
    for day in (today + timedelta(days=n) for n in range(days)):
        if at is None or at.astimezone(ZoneInfo(entity.timezone)).date() < day:
            at = billing_run(entity, day, now)
        if at is not None:
            yield day, at


def _months(day: date) -> Iterator[date]:
    first = day.replace(day=1)
    for _ in range(3):
        yield first
        first = (first + timedelta(days=32)).replace(day=1)


def _day(month: date, number: int) -> date:
    """-1 is the last day of the month, -2 the one before."""
    last = calendar.monthrange(month.year, month.month)[1]
    return month.replace(day=min(max(number if number > 0 else last + 1 + number, 1), last))
