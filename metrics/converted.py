"""Converted money as figures: which day's rates it was converted at, and what has no rate listed beside it."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Final

from metrics.kpi import Figure, Unit
from metrics.rates import Converted

_IN_NO_SUM: Final = "there is no rate, so it is in no sum"


def dated(rate_dates: Mapping[str, date]) -> str:
    """In words; "" where nothing needed a rate."""
    return "rates of " + ", ".join(f"{code} {day}" for code, day in sorted(rate_dates.items())) if rate_dates else ""


def noted(note: str, found: Converted) -> str:
    """A note with the days of the rates after it."""
    return "; ".join(part for part in (note, dated(found.rate_dates)) if part)


def money(key: str, label: str, found: Converted, note: str = "", unit: Unit = Unit.MONEY) -> Figure:
    """One converted sum; None where nothing of it has a rate."""
    return Figure(key, label, found.amount, unit, noted(note, found))


def without_rate(key: str, label: str, found: Converted, note: str = _IN_NO_SUM) -> Iterator[Figure]:
    """`<key>_<currency>`: each amount that is not in the sum, in its own currency."""
    for currency, amount in sorted(found.unconverted.items()):
        yield Figure(f"{key}_{currency}", f"{label} in {currency}", amount, Unit.MONEY, note, currency)
