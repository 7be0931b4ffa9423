"""Hours that people book, and the price of each: that of the day on which it was worked, whenever it is invoiced.

A labour category's rates are a line of time: each holds from its first day until the next one's. A rate without a first
day holds from the start; a client that knows no such field has one of them a category, and so one price.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from app.sandbox.cloud.records import Doc
from app.sandbox.cloud.store import Store

KIND: Final = "hours"
FIELDS: Final = ("invoiced_hours", "invoiced_value", "settled")  # of a rate, beside those that a client sets
_DAY = timedelta(days=1)
_STEP = Decimal("0.25")


@dataclass(frozen=True, slots=True)
class Line:
    """What a month's invoice bills of one rate."""

    rate: Doc
    booked: tuple[Doc, ...]

    @property
    def hours(self) -> Decimal:
        return sum((Decimal(str(one["hours"])) for one in self.booked), Decimal(0))


def cards(store: Store, project: str) -> list[list[Doc]]:
    """Its rates, one list for each labour category, oldest first. Two of a category that begin on the same day are a
    double, or one that took the other's place: each is a card of its own.
    """
    created = store.parts("labour_rate", project)
    by_category: dict[str, list[Doc]] = {}
    for rate in created:
        by_category.setdefault(str(rate["labour_category"]), []).append(rate)
    found = []
    for card in by_category.values():
        alike = len({_since(rate) for rate in card}) < len(card)
        found += [[rate] for rate in card] if alike else [sorted(card, key=_since)]
    places = {str(rate["id"]): place for place, rate in enumerate(created)}
    return sorted(found, key=lambda card: min(places[str(rate["id"])] for rate in card))


def rate_on(card: Sequence[Doc], day: date) -> Doc | None:
    """None: the category has no price yet."""
    begun = [rate for rate in card if _since(rate) <= day.isoformat()]
    return begun[-1] if begun else None


def unpaid(store: Store, project: str, category: str, through: date) -> list[Doc]:
    """Hours of the category that no invoice has, worked up to that day."""
    return [
        one
        for one in store.parts(KIND, project)
        if one["labour_category"] == category and one["price"] is None and str(one["day"]) <= through.isoformat()
    ]


def spread(card: Sequence[Doc], hours: Decimal, first: date, last: date) -> Iterator[tuple[date, Decimal]]:
    """Hours worked evenly from the first day to the last: one booking for each price that holds meanwhile."""
    starts = [first, *(day for day in map(_first_day, card) if day is not None and first < day <= last)]
    ends = [*(day - _DAY for day in starts[1:]), last]
    left, days = hours, (last - first).days + 1
    for start, end in zip(starts, ends, strict=True):
        share = left if end == last else (hours * ((end - start).days + 1) / days).quantize(_STEP)
        left -= share
        if share:
            yield end, share


def lines(card: Sequence[Doc], booked: Sequence[Doc]) -> list[Line]:
    """By rate what is to be billed; what was worked before the category had a price stays."""
    priced: dict[str, list[Doc]] = {}
    for one in booked:
        rate = rate_on(card, date.fromisoformat(str(one["day"])))
        if rate is not None:
            priced.setdefault(str(rate["id"]), []).append(one)
    return [Line(rate, tuple(priced[str(rate["id"])])) for rate in card if str(rate["id"]) in priced]


def of_rate(store: Store, rate: Doc) -> list[Doc]:
    """All hours of its days, invoiced or not."""
    project = str(rate["project_id"])
    card = next(card for card in cards(store, project) if any(one["id"] == rate["id"] for one in card))
    booked = _booked(store, project).get(str(rate["labour_category"]), [])
    return [one for line in lines(card, booked) if line.rate["id"] == rate["id"] for one in line.booked]


def told(store: Store, project: str, today: date) -> list[dict[str, object]]:
    """Its rates, each with the hours of its days that are invoiced, and what they were invoiced at."""
    booked, by_id = _booked(store, project), dict[str, dict[str, object]]()
    for card in cards(store, project):
        mine = {str(one.rate["id"]): one.booked for one in lines(card, booked.get(_category(card), []))}
        for rate, later in zip(card, [*card[1:], None], strict=True):
            by_id[str(rate["id"])] = _told(rate, later, mine.get(str(rate["id"]), ()), today)
    return [by_id[str(rate["id"])] for rate in store.parts("labour_rate", project)]


def open_value(store: Store, project: str) -> Decimal:
    """What the hours come to that are booked and not invoiced."""
    if not store.parts(KIND, project):
        return Decimal(0)
    # Of two cards of one category the first would bill them.
    firsts = {_category(card): card for card in reversed(cards(store, project))}
    billed = (
        line for category, card in firsts.items() for line in lines(card, unpaid(store, project, category, date.max))
    )
    return sum((line.hours * Decimal(str(line.rate["hourly_rate"])) for line in billed), Decimal(0))


def _booked(store: Store, project: str) -> dict[str, list[Doc]]:
    found: dict[str, list[Doc]] = {}
    for one in store.parts(KIND, project):
        found.setdefault(str(one["labour_category"]), []).append(one)
    return found


def _category(card: Sequence[Doc]) -> str:
    return str(card[0]["labour_category"])


def _told(rate: Doc, later: Doc | None, mine: Sequence[Doc], today: date) -> dict[str, object]:
    paid = [one for one in mine if one["price"] is not None]
    hours = sum((Decimal(str(one["hours"])) for one in paid), Decimal(0))
    value = sum((Decimal(str(one["hours"])) * Decimal(str(one["price"])) for one in paid), Decimal(0))
    over = later is not None and _since(later) <= today.isoformat()
    return {**rate, "billed": bool(rate.get("billed")) or bool(paid), "invoiced_hours": str(hours),
            "invoiced_value": str(value), "settled": over and bool(paid) and len(paid) == len(mine)}  # fmt: skip


def _first_day(rate: Doc) -> date | None:
    return date.fromisoformat(str(rate["valid_from"])) if rate.get("valid_from") else None


def _since(rate: Doc) -> str:
    return str(rate.get("valid_from") or "")
