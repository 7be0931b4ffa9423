"""What is billed by the hour: hours that somebody books, and those that people work by habit, month by month."""

import random
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from app.sandbox.cloud import hours
from app.sandbox.cloud.records import Doc
from app.sandbox.cloud.store import Store
from sync_core.money import rounded

_OPEN_ENDED_MONTHS: Final = 12  # over which the hours of a project without an end are spread
_STEP: Final = Decimal("0.25")


@dataclass(frozen=True, slots=True)
class Habits:
    """How customers behave."""

    dispute_share: float = 0.03
    pays_after_days: tuple[int, int] = (10, 60)
    hours_of_plan: tuple[float, float] = (0.6, 1.1)


class Hourly:
    """Writes into the store that it is given; the caller commits."""

    def __init__(self, store: Store, habits: Habits) -> None:
        self._store, self._habits = store, habits

    def bill(
        self, project: Doc, day: date, dice: random.Random, room: Decimal | None
    ) -> tuple[dict[str, Decimal], bool]:
        """What the invoice of the month's last day bills, by revenue category, and whether planned hours are left.
        `room`: what may still be invoiced; a category for which there is too little waits.
        """
        ident, earned, left = str(project["id"]), dict[str, Decimal](), False
        for card in hours.cards(self._store, ident):
            category = str(card[0]["labour_category"])
            share = Decimal(f"{dice.uniform(*self._habits.hours_of_plan):.3f}")
            worked = self._worked(project, card, share, day)
            lines = hours.lines(card, [*hours.unpaid(self._store, ident, category, day), *worked])
            amounts = [_amount(line, project) for line in lines]
            if not lines or (room is not None and sum(earned.values()) + sum(amounts) > room):
                continue
            for line, amount in zip(lines, amounts, strict=True):
                name = str(line.rate["revenue_category"])
                earned[name] = earned.get(name, Decimal(0)) + amount
                self._charge(line)
            charged = (self._store.get("labour_rate", str(rate["id"])) for rate in card)
            left = left or _unworked([rate for rate in charged if rate], day) > 0
        return earned, left

    def book(self, project: Doc, category: str, worked_on: date, worked: Decimal) -> Doc:
        return self._store.put(hours.KIND, self._booking(project, category, worked_on, worked))

    def reprice(self, rate: Doc, price: Decimal, currency: str) -> Decimal:
        """What is to be billed besides, or credited (below zero), so that the invoiced hours come to this price."""
        paid = [one for one in hours.of_rate(self._store, rate) if one["price"] is not None]
        owed = sum(((price - Decimal(str(one["price"]))) * Decimal(str(one["hours"])) for one in paid), Decimal(0))
        for one in paid:
            self._store.put(hours.KIND, {**one, "price": str(price)})
        self._store.put("labour_rate", {**rate, "hourly_rate": str(price)})
        return rounded(owed, currency)

    def _worked(self, project: Doc, card: list[Doc], share: Decimal, day: date) -> list[Doc]:
        """In the month, as far as it was planned; not stored yet."""
        rate = hours.rate_on(card, day)
        if rate is None:
            return []
        month = (Decimal(str(rate["planned_hours"])) * share / _months(project)).quantize(_STEP)
        worked = min(_unworked(card, day), month)
        first = max(day.replace(day=1), date.fromisoformat(str(project["start_date"])))
        spread = hours.spread(card, worked, min(first, day), day) if worked > 0 else ()
        return [self._booking(project, str(rate["labour_category"]), on, part) for on, part in spread]

    def _charge(self, line: hours.Line) -> None:
        """Its hours are invoiced at its price."""
        rate, price = line.rate, line.rate["hourly_rate"]
        for one in line.booked:
            self._store.put(hours.KIND, {**one, "price": price})
        booked = Decimal(str(rate.get("booked_hours", "0"))) + line.hours
        self._store.put("labour_rate", {**rate, "booked_hours": str(booked), "billed": True})

    def _booking(self, project: Doc, category: str, worked_on: date, worked: Decimal) -> Doc:
        return {"id": self._store.next_id("HRS"), "project_id": project["id"], "labour_category": category,
                "day": worked_on.isoformat(), "hours": str(worked), "price": None}  # fmt: skip


def _amount(line: hours.Line, project: Doc) -> Decimal:
    return rounded(line.hours * Decimal(str(line.rate["hourly_rate"])), str(project["currency"]))


def _unworked(card: list[Doc], day: date) -> Decimal:
    """What is left of the hours that are planned of a category, by the rate of that day."""
    rate = hours.rate_on(card, day)
    booked = sum((Decimal(str(one.get("booked_hours", "0"))) for one in card), Decimal(0))
    return (Decimal(str(rate["planned_hours"])) if rate else Decimal(0)) - booked


def _months(project: Doc) -> int:
    if project["end_date"] is None:
        return _OPEN_ENDED_MONTHS
    start, end = (date.fromisoformat(str(project[name])) for name in ("start_date", "end_date"))
    return max(1, (end.year - start.year) * 12 + end.month - start.month + 1)
