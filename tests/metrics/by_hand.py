"""Test only: percentiles, office hours and money in the slow, plain way, without anything of the product."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

RATES = {"USD": Decimal(1), "GBP": Decimal("1.25"), "EUR": Decimal("1.10")}  # of tests/rows.py; BRL has none
ZONES = {"US01": "America/New_York", "GB01": "Europe/London", "DE01": "Europe/Berlin"}  # else the group's


def percentile(ended: Sequence[float], still_open: Sequence[float], share: float) -> float | None:
    """The product limit, one time after the other; None where it is not reached, and below 20 cases."""
    if len(ended) + len(still_open) < 20:
        return None
    left = 1.0
    for moment in sorted(set(ended)):
        at_risk = sum(t >= moment for t in ended) + sum(t >= moment for t in still_open)
        left *= 1 - ended.count(moment) / at_risk
        if left <= 1 - share + 1e-12:
            return moment
    return None


def worked_s(start: datetime, end: datetime, entity: str) -> int:
    """Seconds of Monday to Friday, 9:00 to 17:30 on the legal entity's own clock; no holidays are kept."""
    zone = ZoneInfo(ZONES.get(entity, "Europe/London"))
    day, last, total = start.astimezone(zone).date(), end.astimezone(zone).date(), timedelta()
    while day <= last:
        if day.weekday() < 5:
            opens, closes = (datetime.combine(day, at, zone).astimezone(UTC) for at in (time(9), time(17, 30)))
            total += max(min(closes, end) - max(opens, start), timedelta())
        day += timedelta(days=1)
    return round(total.total_seconds())


def begins(day: date) -> datetime:
    """The first moment of a day for the group, which is in London."""
    return datetime.combine(day, time(), ZoneInfo("Europe/London"))


def converted(amounts: Mapping[str, Decimal]) -> Decimal | None:
    """In USD, of the currencies that have a rate; None where none has."""
    known = [amount * RATES[currency] for currency, amount in amounts.items() if currency in RATES]
    return sum(known, Decimal(0)) if known else None
