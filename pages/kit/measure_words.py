"""How the value of a measure is written: one form per unit."""

from datetime import timedelta
from decimal import Decimal
from typing import Final

from metrics.kpi import Answer, Better, Definition, Figure, Unit, Value
from pages.kit import format as fmt
from sync_core.money import Money, rounded

UNITS: Final = {
    Unit.HOURS: "calendar time",
    Unit.WORKING_HOURS: "working time",
    Unit.DAYS: "calendar days",
    Unit.WORKING_DAYS: "working days",
    Unit.SHARE: "share",
    Unit.MONEY: "money",
    Unit.MONEY_DAYS: "money times days",
    Unit.COUNT: "count",
    Unit.RATIO: "ratio",
    Unit.SECONDS: "time",
}

# Why cases are not counted, as of one; what changes with their number is given for several.
_OF_SEVERAL: Final = {
    "test contract": "test contracts", "of a test contract": "of test contracts",
    "milestone of a test contract": "milestones of test contracts",
    "on its way, no money differs": "on their way, no money differs",
    "cancelled before it was active": "cancelled before they were active",
    "ended before its first invoice": "ended before their first invoice",
    "in the ERP before its execution": "in the ERP before their execution",
    "dispute of an invoice that no ERP reported": "disputes of invoices that no ERP reported",
}  # fmt: skip

_AT_LEAST: Final = "not reached: at least "  # as metrics/percentiles.py says it


def value(given: Value, unit: Unit, currency: str) -> str:
    """Of a KPI or a figure; a dash for what is not known."""
    if given is None:
        return fmt.DASH
    if unit in (Unit.MONEY, Unit.MONEY_DAYS):
        amount = fmt.money(Money(rounded(Decimal(given), currency), currency))
        return amount if unit is Unit.MONEY else f"{amount}\u00a0days"
    if unit is Unit.SHARE:
        return fmt.percent(given)
    if unit is Unit.COUNT:
        return fmt.count(int(given))
    if unit is Unit.RATIO:
        return _ratio(float(given))
    return _time(float(given), unit)


def _ratio(given: float) -> str:
    """Two decimals; below 1 up to four, so that two rates can be told apart."""
    whole, _, decimals = f"{given:,.{2 if abs(given) >= 1 else 4}f}".partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')}"


def _time(given: float, unit: Unit) -> str:
    if unit is Unit.SECONDS:
        return f"{given * 1000:,.0f} ms" if given < 1 else f"{given:,.1f} s"
    if unit is Unit.WORKING_DAYS:
        return f"{given:,.1f} working days"
    if unit is Unit.WORKING_HOURS:
        # Never days: a working day has not 24 hours.
        return fmt.duration(timedelta(hours=given)) if given < 1 else f"{given:,.1f} h"
    if unit is Unit.DAYS and not given:
        return "0 d"
    return fmt.duration(timedelta(hours=given) if unit is Unit.HOURS else timedelta(days=given))


def excluded(n: int, reason: str) -> str:
    """1 test contract, 5 test contracts."""
    return f"{fmt.count(n)} {reason if n == 1 else _OF_SEVERAL.get(reason, reason)}"


def headline(answer: Answer, definition: Definition, currency: str) -> str:
    """The number of a tile; what is too few to be one says how many there are, what is not reached how far it is."""
    if _too_few(answer):
        return f"n = {answer.n:,}"
    if answer.value is None and answer.why_none.startswith(_AT_LEAST):
        return f"> {value(float(answer.why_none.removeprefix(_AT_LEAST).split()[0]), definition.unit, currency)}"
    return value(answer.value, definition.unit, currency)


def part(answer: Answer, definition: Definition, currency: str) -> str:
    """The number in a column of values, beside which the cases stand."""
    return "too few" if _too_few(answer) else headline(answer, definition, currency)


def _too_few(answer: Answer) -> bool:
    return answer.value is None and answer.n > 0 and answer.why_none.startswith("n =")


def change(now: Value, before: Value, unit: Unit, currency: str) -> str | None:
    """From the period before; None where one of the two is not known, or nothing changed in the digits shown."""
    if now is None or before is None:
        return None
    text = _change(now, before, unit, currency)
    return text if any(digit in text for digit in "123456789") else None


def _change(now: Decimal | float, before: Decimal | float, unit: Unit, currency: str) -> str:
    if unit is Unit.SHARE:
        return fmt.points(float(now) - float(before))
    if unit is Unit.COUNT:
        return fmt.count_delta(int(now) - int(before))
    if unit is Unit.MONEY:
        moved = Money(rounded(Decimal(now) - Decimal(before), currency), currency)
        return fmt.money_delta(moved, beside=Money(rounded(Decimal(now), currency), currency))
    if unit is Unit.HOURS or (unit is Unit.WORKING_HOURS and float(now) < 1):
        return fmt.duration_delta(timedelta(hours=float(now) - float(before)), beside=timedelta(hours=float(now)))
    difference = Decimal(now) - Decimal(before)
    sign = fmt.MINUS if difference < 0 else "+"
    return f"{sign}{value(abs(difference), unit, currency)}"


def is_better(now: Value, before: Value, better: Better) -> bool | None:
    """None where there is no better, or no change."""
    if now is None or before is None or better is Better.NEITHER or float(now) == float(before):
        return None
    return (float(now) < float(before)) == (better is Better.LOWER)


def at_least(answer: Answer, key: str) -> float | None:
    """Of a percentile that too few have reached: the longest that any has taken so far; None for any other figure."""
    note = next((one.note for one in answer.figures if one.key == key and one.value is None), "")
    return float(note.removeprefix(_AT_LEAST).split()[0]) if note.startswith(_AT_LEAST) else None


def known(answer: Answer, key: str) -> Value:
    """The value of a figure; None for one that this answer does not have: an answer of no case has none."""
    return next((one.value for one in answer.figures if one.key == key), None)


def figure(one: Figure, currency: str) -> str:
    return value(one.value, one.unit, one.currency or currency)
