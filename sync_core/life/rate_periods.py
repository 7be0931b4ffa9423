"""Which price an hour of a labour category has, by the day on which it was worked. Pure.

A rate card is a line of time: rates begin on days of their own, and amendments hold from a day. An ERP that holds dated
prices gets all of it and bills an hour by its day, however late it is booked. One that holds a single price a category
gets the one of today, so hours that were worked before a change and are not invoiced by then become dearer or cheaper:
that is a task for a person, before it happens.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Final

from sync_core.contract import Contract, LabourRate
from sync_core.errors import ErrorClass, Function
from sync_core.findings import Finding
from sync_core.life.effective import rate_days, rates_on

UNBILLED: Final = "rate_change_unbilled"
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Period:
    """`rate` None: from that day on the category has no price."""

    since: date | None  # None: from the start
    rate: LabourRate | None

    @property
    def price(self) -> Decimal | None:
        return self.rate.rate if self.rate else None


@dataclass(frozen=True, slots=True)
class Priced:
    """A period that has a price."""

    since: date | None
    rate: LabourRate


@dataclass(frozen=True, slots=True)
class PriceChange:
    """Within a month, so that a monthly bill has hours of both sides. `after` None: the category goes."""

    on: date
    category: str
    before: Decimal
    after: Decimal | None


def in_force(card: Iterable[LabourRate], on: date) -> dict[str, LabourRate]:
    """Per category the latest rate not after `on`, or the first one, before the card begins."""
    chosen: dict[str, LabourRate] = {}
    for rate in sorted(card, key=lambda r: (r.category, r.valid_from or date.min)):
        if rate.category not in chosen or (rate.valid_from or date.min) <= on:
            chosen[rate.category] = rate
    return chosen


def line_of_time(contract: Contract) -> dict[str, list[Period]]:
    """Per category its prices, oldest first, from the first that there is. What was said of days before the contract
    begins is no period of its own.
    """
    begins = contract.terms.starts_on if contract.terms else date.min
    lines: dict[str, list[Period]] = {}
    for day in (begins, *sorted(day for day in rate_days(contract) if day > begins)):
        card = in_force(rates_on(contract, day), day)
        since = None if day == begins else day
        for category in sorted(lines.keys() | card.keys()):
            line = lines.setdefault(category, [])
            if not line or _undated(line[-1].rate) != _undated(card.get(category)):
                line.append(Period(since, card.get(category)))
    return lines


def periods(line_of: Mapping[str, Sequence[Period]], on: date) -> dict[str, list[Priced]]:
    """What an ERP with dated prices must hold on the day `on`. A category that is gone by then holds nothing.

    Another price makes another period; what else is agreed of a rate, such as its hours, is as it is on that day.
    """
    found = {}
    for category, line in sorted(line_of.items()):
        begun = [one for one in line if one.since is None or one.since <= on]
        if (begun and begun[-1].rate) or any(one.rate for one in line[len(begun) :]):
            found[category] = _by_price(line, on)
    return found


def _by_price(line: Sequence[Period], on: date) -> list[Priced]:
    found: list[Priced] = []
    for one in line:
        if one.rate is None:
            continue
        if not found or found[-1].rate.rate != one.rate.rate:
            found.append(Priced(one.since, one.rate))
        elif one.since is not None and one.since <= on:
            found[-1] = Priced(found[-1].since, one.rate)
    return found


def price_changes(line_of: Mapping[str, Sequence[Period]]) -> list[PriceChange]:
    """In the middle of a month, oldest first."""
    changes = [
        PriceChange(after.since, category, before.rate.rate, after.rate.rate if after.rate else None)
        for category, line in line_of.items()
        for before, after in pairwise(line)
        if before.rate and after.since and after.since.day > 1 and before.price != after.price
    ]
    return sorted(changes, key=lambda one: (one.on, one.category))


def unbilled(changes: Sequence[PriceChange], on: date) -> Finding | None:
    """The task of finance in the month of a change, where the ERP holds one price a category. It stops nothing."""
    told = [one for one in changes if _month(one.on) <= on < _next_month(one.on)]
    if not told:
        return None
    words = "; ".join(_told(day, [one for one in told if one.on == day], on) for day in sorted({o.on for o in told}))
    owner, none = Function.FINANCE_OPERATIONS, Decimal(0)
    return Finding(ErrorClass.ERP_REJECTED, "rate_change_unbilled", owner, words, money=none)


def next_look(changes: Sequence[PriceChange], on: date) -> date | None:
    """The next day on which `unbilled` may say something else."""
    days = {day for one in changes for day in (_month(one.on), one.on, _next_month(one.on))}
    return min((day for day in days if day > on), default=None)


def _told(day: date, changes: Sequence[PriceChange], on: date) -> str:
    prices = ", ".join(
        f"{one.category} from {one.before} to {'nothing' if one.after is None else one.after}" for one in changes
    )
    head = f"this ERP holds one price a category, and on {day} the price of an hour changes: {prices}"
    if on < day:
        return f"{head}; invoice the hours worked before {day} until then, or they are billed at the new price"
    return f"{head}; what was worked before and not invoiced by then is billed at the new price: credit or re-bill it"


def _undated(rate: LabourRate | None) -> LabourRate | None:
    return replace(rate, valid_from=None) if rate else None


def _month(day: date) -> date:
    return day.replace(day=1)


def _next_month(day: date) -> date:
    return _month(_month(day) + 31 * _DAY)
