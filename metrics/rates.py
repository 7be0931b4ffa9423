"""Exchange rates as they were known: money of many currencies in the group's reporting currency, for display alone.

A rate is known from the refresh on that took it in, so an ask as of then sees what was recorded then. Where a sum has
rows, what each row is worth is rounded, and the sum is theirs; other sums stay unrounded until they are shown. What has
no rate is listed beside the sum.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Final

import orjson
import sqlalchemy as sa

from metrics.source import Source
from sync_core.estate.estate import Estate
from sync_core.money import rounded

ESTATE: Final = "estate"  # who recorded the rates of the estate file

# By currency, the newest day that has come, and of that day what was recorded last; binds what Source.values has.
KNOWN_RATES: Final = """
    SELECT DISTINCT ON (r.currency) r.currency, r.rate, r.valid_on FROM metrics.exchange_rate AS r
    WHERE r.reporting = :reporting AND r.known_from <= :known_at
      AND r.valid_on <= CAST(CAST(:known_at AS timestamptz) AT TIME ZONE :zone AS date)
    ORDER BY r.currency, r.valid_on DESC, r.seq DESC
"""
# Half to even, as sync_core/money.py does it. `round` takes a half away from zero, and moves nothing else by a half: to
# subtract costs a third of what a remainder does, which is felt over thousands of contracts.
_ROUNDED: Final = """CASE WHEN abs({0} - round({0}, CAST(:minor AS integer)))
         = 0.5 / power(CAST(10 AS numeric), CAST(:minor AS integer))
    THEN 2 * round({0} * 0.5, CAST(:minor AS integer)) ELSE round({0}, CAST(:minor AS integer)) END"""


def rated(of: str = "f") -> str:
    """SQL: joins `r`, whose `rate` converts the currency of `of`; none where no rate is known."""
    return f"""LEFT JOIN (
        SELECT k.currency, k.rate FROM ({KNOWN_RATES}) AS k WHERE k.currency <> :reporting
        UNION ALL SELECT CAST(:reporting AS text), 1
    ) AS r ON r.currency = {of}.currency"""


def worth(amount: str, rate: str = "r.rate") -> str:
    """SQL: an amount converted to the minor unit of the reporting currency; null without a rate.

    Of one contract, so that rows add up to their sum. `rated` is joined, unless `rate` comes from elsewhere.
    """
    return in_minor(f"({amount}) * {rate}")


def in_minor(converted: str) -> str:
    """SQL: a converted amount rounded to the minor unit. Said up to four times over: better a column."""
    return _ROUNDED.format(converted)


# Compared with the estate's own last word on that day: an import that replaced it is not undone by every refresh.
_TAKE_OVER = sa.text("""
    INSERT INTO metrics.exchange_rate (currency, valid_on, rate, reporting, recorded_at, recorded_by, batch)
    SELECT e.currency, e.valid_on, e.rate, :reporting, :now, :estate, :estate
    FROM jsonb_to_recordset(CAST(:rates AS jsonb)) AS e(currency text, valid_on date, rate numeric)
    WHERE e.rate IS DISTINCT FROM (
        SELECT r.rate FROM metrics.exchange_rate AS r
        WHERE r.reporting = :reporting AND r.currency = e.currency AND r.valid_on = e.valid_on
          AND r.recorded_by = :estate
        ORDER BY r.seq DESC LIMIT 1)
""")
_KNOWN_FROM = tuple(
    sa.text(f"UPDATE metrics.{table} SET known_from = :at WHERE known_from IS NULL")
    for table in ("exchange_rate", "stated_value")
)


@dataclass(frozen=True, slots=True)
class Rate:
    rate: Decimal  # one unit of the currency in the reporting currency
    valid_on: date


@dataclass(frozen=True, slots=True)
class Converted:
    """A sum of many currencies. `amount` None: nothing of it has a rate, or there is nothing."""

    amount: Decimal | None
    unconverted: Mapping[str, Decimal] = field(default_factory=dict)  # by currency: no rate, not in the sum
    rate_dates: Mapping[str, date] = field(default_factory=dict)  # by currency: of the rate that was used


@dataclass(frozen=True, slots=True)
class Rates:
    """As they were known at one moment. Made by `rates_of`."""

    reporting: str
    known: Mapping[str, Rate] = field(default_factory=dict)

    def convert(self, amount: Decimal, currency: str) -> Decimal | None:
        """Unrounded, in the reporting currency; None without a rate."""
        if currency == self.reporting:
            return amount
        rate = self.known.get(currency)
        return None if rate is None else amount * rate.rate

    def date_of(self, currency: str) -> date | None:
        """The day from which the rate is valid; None without one, and for the reporting currency, which needs none."""
        rate = self.known.get(currency) if currency != self.reporting else None
        return None if rate is None else rate.valid_on

    def total(self, parts: Mapping[str, Decimal]) -> Converted:
        """Of amounts by currency. What has no rate is listed, never dropped."""
        converted = {currency: self.convert(amount, currency) for currency, amount in parts.items()}
        known = [amount for amount in converted.values() if amount is not None]
        dates = {currency: self.date_of(currency) for currency, amount in converted.items() if amount is not None}
        return Converted(
            sum(known, Decimal(0)) if known else None,
            {currency: parts[currency] for currency, amount in converted.items() if amount is None},
            {currency: day for currency, day in dates.items() if day is not None},
        )

    def summed(self, parts: Mapping[str, Decimal], worth: Mapping[str, Decimal]) -> Converted:
        """Of amounts that were converted and rounded one by one: `worth` by currency, of what has a rate."""
        of_all = self.total(parts)
        known = [worth[currency] for currency in parts if currency not in of_all.unconverted]
        return replace(of_all, amount=sum(known, Decimal(0)) if known else None)

    def shown(self, amount: Decimal | None) -> Decimal | None:
        """Rounded half-even to the reporting currency's minor unit: once, where it is displayed."""
        return None if amount is None else rounded(amount, self.reporting)


def rates_of(source: Source) -> Rates:
    """The newest that were known at source.known_at and valid by its day in the group's zone. One statement."""
    return source.once("rates", lambda: _rates(source))


def _rates(source: Source) -> Rates:
    reporting = source.estate.group.reporting_currency
    if source.known_at is None:
        return Rates(reporting)
    rows = source.run(KNOWN_RATES)
    return Rates(reporting, {str(row.currency): Rate(row.rate, row.valid_on) for row in rows})


def take_in(conn: sa.Connection, estate: Estate, *, at: datetime, now: datetime) -> None:
    """What finance stated since the last refresh is known from `at` on; rates that are new in the estate too."""
    rates = [
        {"currency": one.currency, "valid_on": one.valid_from.isoformat(), "rate": str(one.rate)}
        for one in estate.exchange_rate
    ]
    values = {"rates": orjson.dumps(rates).decode(), "reporting": estate.group.reporting_currency}
    conn.execute(_TAKE_OVER, {**values, "now": now, "estate": ESTATE})
    for statement in _KNOWN_FROM:
        conn.execute(statement, {"at": at})
