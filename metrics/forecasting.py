"""What was to be billed in a month against what was: the schedules in force on its first day, and its invoices.

A month counts when it lies in the window with all its days and is over. Milestones only: what is billed by time has no
plan that could be compared.

Beside it what was signed in the month, of all contracts: those of its signatures, and what amendments executed in it
changed. Both are as they are known now, so a correction of a value moves the month of its signature.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from metrics.asking import By
from metrics.cells import Cell, Need
from metrics.months import following, month_of
from metrics.rates import Converted, Rates, rates_of
from metrics.source import Source

_PLANNED, _TEST, _BILLED, _ISSUED = "schedule.planned", "schedule.test", "invoice.planned", "invoice.issued"
_SIGNED: Final = ("contract.signed", "amendment.signed")
MEASURES: Final = (_PLANNED, _TEST, _BILLED, _ISSUED, *_SIGNED)

Amounts = Mapping[tuple[date, str], Decimal]  # by month and currency


@dataclass(frozen=True, slots=True)
class Month:
    """Unrounded, in the reporting currency, of the currencies that have a rate."""

    month: date
    forecast: Decimal
    billed: Decimal

    @property
    def error(self) -> Decimal:
        """Above zero: more was forecast than billed."""
        return self.forecast - self.billed


@dataclass(frozen=True, slots=True)
class Forecasts:
    """Amounts by month and currency; `by_time` counts the invoices that no schedule foresees."""

    planned: Amounts = field(default_factory=dict)
    billed: Amounts = field(default_factory=dict)
    milestones: int = 0
    invoices: int = 0
    by_time: int = 0
    test: int = 0
    signed: Amounts = field(default_factory=dict)
    signatures: int = 0  # contracts and amendments
    rates: Rates | None = None

    def __add__(self, other: "Forecasts") -> "Forecasts":
        return Forecasts(
            _added(self.planned, other.planned), _added(self.billed, other.billed),
            self.milestones + other.milestones, self.invoices + other.invoices, self.by_time + other.by_time,
            self.test + other.test, _added(self.signed, other.signed), self.signatures + other.signatures,
            self.rates or other.rates,
        )  # fmt: skip

    @property
    def months(self) -> list[Month]:
        """In order; one in which nothing was planned and nothing billed is not there."""
        rates, found = self.rates or Rates(""), sorted({month for month, _ in (*self.planned, *self.billed)})
        return [Month(m, _total(rates, self.planned, m), _total(rates, self.billed, m)) for m in found]

    @property
    def unpriced(self) -> set[date]:
        """Months in which all that was billed is in currencies without a rate."""
        rates, months = self.rates or Rates(""), {month for month, _ in self.billed}
        return {month for month in months if rates.total(_of_month(self.billed, month)).amount is None}

    def total(self, amounts: Amounts) -> Converted:
        """All months together; of what is not there it is zero beside what is."""
        if not amounts and (self.planned or self.billed):
            return Converted(Decimal(0))
        found: dict[str, Decimal] = {}
        for (_, currency), amount in amounts.items():
            found[currency] = found.get(currency, Decimal(0)) + amount
        return (self.rates or Rates("")).total(found)

    @property
    def mape(self) -> float | None:
        """Mean over months of |forecast - billed| / billed; None without a month in which something was billed."""
        shares = [abs(m.error) / m.billed for m in self.months if m.billed > 0]
        return float(sum(shares, Decimal(0)) / len(shares)) if shares else None

    @property
    def bias(self) -> float | None:
        """(forecast - billed) / billed over all months together."""
        billed = sum((m.billed for m in self.months), Decimal(0))
        return float(sum((m.error for m in self.months), Decimal(0)) / billed) if billed > 0 else None


def forecasts(source: Source, by: By | None) -> dict[str, Forecasts]:
    """By group; By.WEEK gives months. Few statements."""
    rates, whole = rates_of(source), set(whole_months(source))
    grouped: dict[str, list[Cell]] = {}
    for cell in source.cells(MEASURES, needed(by).by):
        if month_of(cell.bucket) in whole:
            group = str(month_of(cell.bucket)) if by is By.WEEK else cell.group
            grouped.setdefault(group, []).append(cell)
    return {group: _of(cells, rates) for group, cells in grouped.items()}


def needed(by: By | None) -> Need:
    """What `forecasts` asks for: months are in the cells besides the dimensions."""
    return Need(MEASURES, None if by is By.WEEK else by)


def _of(cells: Sequence[Cell], rates: Rates) -> Forecasts:
    def amounts(*measures: str) -> Amounts:
        found: dict[tuple[date, str], Decimal] = {}
        for c in cells:
            if c.measure in measures:
                key = month_of(c.bucket), c.label
                found[key] = found.get(key, Decimal(0)) + c.amount
        return found

    def count(*measures: str) -> int:
        return sum(c.n for c in cells if c.measure in measures)

    billed = count(_BILLED)
    return Forecasts(
        amounts(_PLANNED), amounts(_BILLED), count(_PLANNED), billed, count(_ISSUED) - billed, count(_TEST),
        amounts(*_SIGNED), count(*_SIGNED), rates,
    )  # fmt: skip


def whole_months(source: Source) -> list[date]:
    """Those whose days all lie in the window and before the moment that was asked for."""
    if source.as_of is None:
        return []
    today = source.as_of.astimezone(ZoneInfo(source.estate.group.timezone)).date()
    start, end = source.ask.window.start, min(source.ask.window.end, today)
    month = date(start.year, start.month, 1)
    month = month if month >= start else following(month)
    months = []
    while following(month) <= end:
        months.append(month)
        month = following(month)
    return months


def _added(one: Amounts, other: Amounts) -> Amounts:
    return {key: one.get(key, Decimal(0)) + other.get(key, Decimal(0)) for key in one.keys() | other.keys()}


def _of_month(amounts: Amounts, month: date) -> dict[str, Decimal]:
    return {currency: amount for (m, currency), amount in amounts.items() if m == month}


def _total(rates: Rates, amounts: Amounts, month: date) -> Decimal:
    return rates.total(_of_month(amounts, month)).amount or Decimal(0)
