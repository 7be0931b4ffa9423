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
# The currency of an exception `k` whose amount has no rate.
_UNCONVERTED: Final = "CASE WHEN k.exposure_reporting IS NULL AND k.exposure <> 0 THEN k.currency END"
# Of the exceptions `k` of one contract: how many, and its money once, from one of them. To be grouped by contract_id.
OF_ONE_CONTRACT: Final = f"""count(*) AS cases, (array_agg(k.exposure_reporting {_MOST}))[1] AS reporting,
    (array_agg(k.exposure {_MOST}))[1] AS amount,
    (array_agg({_UNCONVERTED} {_MOST}))[1] AS unconverted"""

# The same of many views at once. Of most contracts one exception is open: these are counted by what tells views apart,
# and only those of contracts with several are looked at one by one in each view.
_OF_VIEWS: Final = f"""
    WITH several AS MATERIALIZED (
        SELECT k.contract_id FROM core.case AS k WHERE k.state = 'open' GROUP BY 1 HAVING count(*) > 1
    ), alone AS (
        SELECT {{facets}}, {_UNCONVERTED} AS unconverted, count(*) AS cases, sum(k.exposure_reporting) AS reporting,
               sum(k.exposure) AS amount, min(k.opened) AS oldest
        FROM ({{found}}) AS k WHERE k.contract_id NOT IN (SELECT contract_id FROM several)
        GROUP BY {{facets}}, unconverted
    ), together AS (
        SELECT {{columns}}, k.exposure_reporting, k.exposure, k.opened, row_number() OVER once AS nth,
               first_value({_UNCONVERTED}) OVER once AS unconverted
        FROM ({{found}}) AS k CROSS JOIN LATERAL ({{views}}) AS v({{columns}})
        WHERE k.contract_id = ANY(ARRAY(SELECT contract_id FROM several))
        WINDOW once AS (PARTITION BY k.contract_id, {{columns}} {_MOST})
    )
    SELECT {{columns}}, unconverted, CAST(sum(cases) AS bigint) AS cases, sum(reporting) AS reporting,
           sum(amount) AS amount, min(oldest) AS oldest
    FROM (
        SELECT {{columns}}, k.unconverted, k.cases, k.reporting, k.amount, k.oldest
        FROM alone AS k CROSS JOIN LATERAL ({{views}}) AS v({{columns}})
        UNION ALL
        SELECT {{columns}}, unconverted, 1, CASE WHEN nth = 1 THEN exposure_reporting END,
               CASE WHEN nth = 1 THEN exposure END, opened
        FROM together
    ) AS listed GROUP BY {{columns}}, unconverted
"""


def of_views(found: str, *, facets: str, views: str, columns: str) -> str:
    """Of open exceptions, by view: cases, reporting, amount, oldest; unconverted is the currency of the amount.

    `found` selects contract_id, case_id, exposure_reporting, exposure, currency, opened and the `facets`, from which
    `views`, a query over `k`, makes a row for each view of an exception. Of a contract it finds all or none.
    """
    return _OF_VIEWS.format(found=found, facets=facets, views=views, columns=columns)


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
