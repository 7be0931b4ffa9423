"""Months in weekly cells: a cell's period is a week and its bucket the month, so a window cuts a month by days."""

from datetime import date
from typing import Final

# Of a date, as a smallint; what an ERP dates absurdly stays one of the two ends and stops nobody's refresh.
MONTH: Final = (
    "CAST(least(greatest((extract(year FROM {0}) - 2000) * 12 + extract(month FROM {0}) - 1, -32768), 32767)"
    " AS smallint)"
)


def month_of(index: int) -> date:
    """The first day of the month that MONTH counted; the ends of the calendar for what lies outside of it."""
    years, month = divmod(index, 12)
    return date(min(max(years + 2000, date.min.year), date.max.year), month + 1, 1)


def following(first: date) -> date:
    """The first day of the next month."""
    return date(first.year + first.month // 12, first.month % 12 + 1, 1)
