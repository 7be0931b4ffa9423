"""How made-up contracts are amended: new terms from old ones, and the absolute changes that lie between two terms.

Only what is not yet due moves: an amendment does not touch a milestone that may be billed already, but for a few
deductions. Zero-value amendments are common in public data, so several kinds leave the value as it is.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import TypeVar

from pydantic import JsonValue

from app.sandbox.clm.wire import jsonable
from app.sandbox.master_data import PAYMENT_TERMS
from sync_core.contract import BillingKind, ContractLine, LabourRate, Milestone, Terms
from sync_core.money import quantum, rounded

Part = TypeVar("Part", ContractLine, Milestone, LabourRate)
Amend = Callable[[Random, Terms, date], Terms]


def amend(rng: Random, terms: Terms, on: date) -> tuple[Terms, str]:
    """The terms after one more amendment, executed on the day `on`, and its summary."""
    kinds = _FIXED if terms.billing.kind is BillingKind.MILESTONES else _TIME
    while True:
        summary = rng.choices(list(kinds), [weight for weight, _ in kinds.values()])[0]
        amended = kinds[summary][1](rng, terms, on)
        if amended != terms:
            return amended, summary


def changes_between(old: Terms, new: Terms) -> dict[str, JsonValue]:
    """What `Changes` (sync_core/events.py) must say to lead from `old` to `new`."""
    changes: dict[str, JsonValue] = {
        name: jsonable(getattr(new, name)) for name in _HEADER if getattr(new, name) != getattr(old, name)
    }
    _parts(changes, "lines", old.lines, new.lines, lambda line: line.key)
    _parts(changes, "milestones", old.milestones, new.milestones, lambda milestone: milestone.key)
    _parts(changes, "rates", old.rates, new.rates, _rate_key)
    return changes


_HEADER = (
    "title",
    "customer",
    "legal_entity",
    "service_line",
    "geography",
    "value",
    "starts_on",
    "ends_on",
    "billing",
    "po_number",
    "tax",
)


def _parts(
    changes: dict[str, JsonValue],
    name: str,
    old: tuple[Part, ...],
    new: tuple[Part, ...],
    key: Callable[[Part], str],
) -> None:
    before, after = {key(part): part for part in old}, {key(part): part for part in new}
    changed = [part for at, part in after.items() if before.get(at) != part]
    removed = [at for at in before if at not in after]
    if changed:
        changes[name] = jsonable(changed)
    if removed:
        changes[f"remove_{name}"] = jsonable(removed)


def _rate_key(rate: LabourRate) -> str:
    return rate.category if rate.valid_from is None else f"{rate.category}@{rate.valid_from.isoformat()}"


def value_up(rng: Random, terms: Terms, on: date) -> Terms:
    """Another milestone on the last line, for 5 to 40 % more."""
    more = rounded(terms.value * rng.randrange(5, 41) / 100, terms.currency)
    line, last = terms.lines[-1], max((m.due_on for m in terms.milestones), default=on)
    due_on = max(last, on) + timedelta(days=rng.choice([14, 28, 45]))
    number = max(int(m.key[1:]) for m in terms.milestones) + 1
    extra = Milestone(f"M{number}", "Additional scope delivered", more, due_on, line.key)
    grown = _valued(terms, line, more)
    return replace(grown, milestones=(*terms.milestones, extra), ends_on=max(terms.ends_on or due_on, due_on))


def deducted(rng: Random, terms: Terms) -> Terms:
    """5 to 25 % less for the first milestone, though it is billed."""
    first = min(terms.milestones, key=lambda milestone: milestone.due_on)
    less = rounded(first.amount * rng.randrange(5, 26) / 100, terms.currency)
    line = next((line for line in terms.lines if line.key == first.line), terms.lines[-1])
    shrunk = _valued(terms, line, -less)
    milestones = tuple(replace(m, amount=m.amount - less) if m is first else m for m in terms.milestones)
    return replace(shrunk, milestones=milestones)


def _value_down(rng: Random, terms: Terms, on: date) -> Terms:
    last = terms.milestones[-1]
    if last.due_on <= on or last.amount <= 2 * quantum(terms.currency):
        return terms
    less = rounded(last.amount * rng.randrange(20, 61) / 100, terms.currency)
    line = next(line for line in terms.lines if line.key == last.line)
    shrunk = _valued(terms, line, -less)
    return replace(shrunk, milestones=(*terms.milestones[:-1], replace(last, amount=last.amount - less)))


def _milestone_split(rng: Random, terms: Terms, on: date) -> Terms:
    """A zero-value amendment that adds a milestone: the last one is billed in two parts."""
    last = terms.milestones[-1]
    if last.due_on <= on + timedelta(days=21):
        return terms
    early = rounded(last.amount * rng.choice([30, 40, 50]) / 100, terms.currency)
    number = max(int(m.key[1:]) for m in terms.milestones) + 1
    first = Milestone(f"M{number}", f"{last.name}, interim", early, last.due_on - timedelta(days=14), last.line)
    return replace(terms, milestones=(*terms.milestones[:-1], replace(last, amount=last.amount - early), first))


def _moved(rng: Random, terms: Terms, on: date) -> Terms:
    late = timedelta(days=7 * rng.randrange(1, 9))
    moved = tuple(replace(m, due_on=m.due_on + late) if m.due_on > on else m for m in terms.milestones)
    return replace(terms, milestones=moved, ends_on=terms.ends_on + late if terms.ends_on else None)


def _hours(rng: Random, terms: Terms, percent: int) -> Terms:
    """More or fewer hours of the first price of each category; the cap follows."""
    first = [rate for rate in terms.rates if rate.valid_from is None]
    grown = [replace(r, planned_hours=(r.planned_hours * percent / 100).to_integral_value()) for r in first]
    more = sum(
        (new.rate * (new.planned_hours - old.planned_hours) for old, new in zip(first, grown, strict=True)), Decimal(0)
    )
    by_category = {rate.category: rate for rate in grown}
    rates = tuple(by_category[r.category] if r.valid_from is None else r for r in terms.rates)
    capped = _valued(terms, rng.choice(terms.lines), more)
    return replace(capped, rates=rates, billing=replace(terms.billing, not_to_exceed=capped.value))


def _more_hours(rng: Random, terms: Terms, _on: date) -> Terms:
    return _hours(rng, terms, rng.randrange(110, 161))


def _fewer_hours(rng: Random, terms: Terms, _on: date) -> Terms:
    return _hours(rng, terms, rng.randrange(60, 95))


def _new_rates(rng: Random, terms: Terms, on: date) -> Terms:
    """Prices rise from the first of a coming month; the cap stays."""
    valid_from = (on.replace(day=1) + timedelta(days=32 * rng.choice([1, 1, 2]))).replace(day=1)
    percent = rng.choice([Decimal("1.03"), Decimal("1.04"), Decimal("1.05"), Decimal("1.08")])
    first = [rate for rate in terms.rates if rate.valid_from is None]
    risen = [replace(r, rate=rounded(r.rate * percent, terms.currency), valid_from=valid_from) for r in first]
    kept = [rate for rate in terms.rates if rate.valid_from != valid_from]
    return replace(terms, rates=(*kept, *risen))


def _order_number(rng: Random, terms: Terms, _on: date) -> Terms:
    return terms if terms.po_number else replace(terms, po_number=f"PO-{rng.randrange(4_600_000, 4_699_999)}")


def _paperwork(rng: Random, terms: Terms, _on: date) -> Terms:
    code = rng.choice([t.code for t in PAYMENT_TERMS if t.code != terms.billing.payment_terms])
    return replace(terms, billing=replace(terms.billing, payment_terms=code))


def _valued(terms: Terms, line: ContractLine, more: Decimal) -> Terms:
    lines = tuple(replace(at, amount=at.amount + more) if at.key == line.key else at for at in terms.lines)
    return replace(terms, value=terms.value + more, lines=lines)


_FIXED: Mapping[str, tuple[int, Amend]] = {
    "Additional scope": (30, value_up),
    "Reduced scope": (12, _value_down),
    "Milestone billed in two parts": (10, _milestone_split),
    "Dates moved": (25, _moved),
    "Purchase order added": (13, _order_number),
    "Payment terms changed": (10, _paperwork),
}
_TIME: Mapping[str, tuple[int, Amend]] = {
    "More hours": (30, _more_hours),
    "Fewer hours": (12, _fewer_hours),
    "New rates": (25, _new_rates),
    "Dates moved": (15, _moved),
    "Purchase order added": (10, _order_number),
    "Payment terms changed": (8, _paperwork),
}
