"""Sums of money in the reporting currency that never lose an amount for want of an exchange rate.

The money of an exception is what its contract cannot bill. A contract with two exceptions holds it up once, so a sum
over exceptions takes it once for each contract.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from sync_core.money import Money

# The exceptions `k` of one contract, most money first: as `summed_once` picks the one that counts.
_MOST: Final = "ORDER BY coalesce(k.exposure_reporting, 0) DESC, k.exposure DESC, k.case_id"
# Of the exceptions `k` of one contract: how many, and its money once, from one of them. To be grouped by contract_id.
OF_ONE_CONTRACT: Final = f"""count(*) AS cases, (array_agg(k.exposure_reporting {_MOST}))[1] AS reporting,
    (array_agg(k.exposure {_MOST}))[1] AS amount,
    (array_agg(CASE WHEN k.exposure_reporting IS NULL AND k.exposure <> 0 THEN k.currency END {_MOST}))[1]
        AS unconverted"""

# The same of many views at once, without a group for each contract: of each exception `k` in a view, which of its
# contract's it is there, and the currency that the first of them has no rate for. OF_VIEW adds up by that currency.
NTH_OF_CONTRACT: Final = """k.exposure_reporting, k.exposure, row_number() OVER alike AS nth,
    first_value(CASE WHEN k.exposure_reporting IS NULL AND k.exposure <> 0 THEN k.currency END) OVER alike
        AS unconverted"""
OF_VIEW: Final = """count(*) AS cases, sum(exposure_reporting) FILTER (WHERE nth = 1) AS reporting,
    sum(exposure) FILTER (WHERE nth = 1) AS amount"""


def alike(view: str) -> str:
    """The window that NTH_OF_CONTRACT needs; `view` is the columns of what is counted apart."""
    return f"WINDOW alike AS (PARTITION BY contract_id, {view} {_MOST})"


@dataclass(frozen=True, slots=True)
class Part:
    """A group of amounts as a statement sums it: `currency` is set where its amounts have no rate."""

    count: int
    reporting: Decimal | None
    currency: str | None = None
    amount: Decimal = Decimal(0)  # in `currency`


@dataclass(frozen=True, slots=True)
class Unconverted:
    """Amounts in a currency for which the estate has no rate."""

    total: Money
    count: int


@dataclass(frozen=True, slots=True)
class MoneyTotal:
    """What could be converted, summed; and what could not, by currency, to be shown beside it."""

    money: Money  # reporting currency
    count: int  # all, with or without a rate
    unconverted: tuple[Unconverted, ...] = ()


def summed(amounts: Iterable[tuple[Money | None, Money | None]], reporting: str) -> MoneyTotal:
    """Of single amounts, each in its own and in the reporting currency; None: that is not known."""
    return add_up((_part(own, converted) for own, converted in amounts), reporting)


def summed_once(amounts: Iterable[tuple[int, Money | None, Money | None]], reporting: str) -> MoneyTotal:
    """As `summed`, of exceptions with their contract first: its money counts once, its exceptions each."""
    parts: dict[int, Part] = {}
    for contract_id, own, converted in amounts:
        part, before = _part(own, converted), parts.get(contract_id)
        most = part if before is None or _size(part) > _size(before) else before
        parts[contract_id] = replace(most, count=1 + (before.count if before else 0))
    return add_up(parts.values(), reporting)


def _size(part: Part) -> tuple[Decimal, Decimal]:
    return part.reporting or Decimal(0), part.amount


def _part(own: Money | None, converted: Money | None) -> Part:
    if converted is None and own is not None and own.amount:
        return Part(1, None, own.currency, own.amount)
    return Part(1, converted.amount if converted else None)


def add_up(parts: Iterable[Part], reporting: str) -> MoneyTotal:
    """Unrounded: round where it is shown."""
    converted, count = Decimal(0), 0
    without: dict[str, tuple[Decimal, int]] = {}
    for part in parts:
        count += part.count
        if part.currency is None:
            converted += part.reporting or Decimal(0)
        else:
            amount, n = without.get(part.currency, (Decimal(0), 0))
            without[part.currency] = (amount + part.amount, n + part.count)
    unconverted = tuple(Unconverted(Money(amount, code), n) for code, (amount, n) in sorted(without.items()))
    return MoneyTotal(Money(converted, reporting), count, unconverted)
