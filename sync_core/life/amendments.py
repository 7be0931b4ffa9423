"""Each amendment before and after: the terms, and what is to be billed, with parts that add up to the whole. Pure.

Before and after are two neighbouring steps of the fold, so an amendment that came late stands where it belongs. What
the schedule does not cover of the value is a row of its own: the sum row always is the contract's value. Of a contract
whose currency was amended each side is in its own, and nothing is subtracted.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final, TypeAlias

from sync_core.contract import BillingKind, Contract, Terms
from sync_core.events import Amended, AmendmentHeader, Event
from sync_core.fold import fold_steps
from sync_core.life.agreements import DayAt
from sync_core.life.contract_words import Change, changes_between, flat
from sync_core.life.reused import with_own
from sync_core.life.silent import by_path, with_values

_ZERO: Final = Decimal(0)
_PARTS: Final = ("milestone ", "line ")  # told by the schedule, not by the list of terms
_OF_CONTRACT: Final = ("amendment ", "missing amendment")


class Fate(StrEnum):
    """What became of one row of the schedule."""

    SAME = "unchanged"
    ADDED = "added"
    REMOVED = "removed"
    MOVED = "moved"  # another day, the same amount
    CHANGED = "changed"  # another amount


@dataclass(frozen=True, slots=True)
class Row:
    """A milestone, or a line of a contract that bills by time. None: it is not there on that side."""

    key: str
    name: str
    before: Decimal | None
    after: Decimal | None
    due_before: date | None
    due_after: date | None
    fate: Fate
    invoiced: Decimal | None = None  # as the ERP was last read; None: nothing yet
    uncovered: bool = False  # what no part of the schedule covers: nothing to invoice by
    invoiced_in: str = ""  # the currency of what was invoiced, where the contract has another one after

    @property
    def to_invoice(self) -> Decimal:
        return _ZERO if self.invoiced is not None or self.uncovered else self.after or _ZERO

    @property
    def difference(self) -> Decimal:
        """What finance has to bill besides (above zero) or to credit (below); all of it anew in another currency."""
        if self.invoiced_in:
            return self.after or _ZERO
        return _ZERO if self.invoiced is None else (self.after or _ZERO) - self.invoiced


@dataclass(frozen=True, slots=True)
class Schedule:
    """invoiced + to invoice + difference + uncovered = `after`; the rows' own sums are `before` and `after`.

    All in the currency after: what was invoiced in another one is in none of these sums.
    """

    rows: tuple[Row, ...]
    before: Decimal  # the contract's value
    after: Decimal

    @property
    def uncovered(self) -> Decimal:
        """Of the value after: below zero where the parts are more than it."""
        return sum((row.after or _ZERO for row in self.rows if row.uncovered), _ZERO)

    @property
    def invoiced(self) -> Decimal:
        return sum((row.invoiced or _ZERO for row in self.rows if not row.invoiced_in), _ZERO)

    @property
    def invoiced_otherwise(self) -> tuple[tuple[str, Decimal], ...]:
        """By another currency, what was invoiced in it."""
        sums: dict[str, Decimal] = {}
        for row in self.rows:
            if row.invoiced_in:
                sums[row.invoiced_in] = sums.get(row.invoiced_in, _ZERO) + (row.invoiced or _ZERO)
        return tuple(sorted(sums.items()))

    @property
    def to_invoice(self) -> Decimal:
        return sum((row.to_invoice for row in self.rows), _ZERO)

    @property
    def difference(self) -> Decimal:
        return sum((row.difference for row in self.rows), _ZERO)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What lies between two states of a contract. `terms`: all but the rows of the schedule."""

    currency: str  # after
    currency_before: str
    terms: tuple[Change, ...]
    schedule: Schedule

    @property
    def delta(self) -> Decimal | None:
        """Of the value; None across currencies."""
        return self.schedule.after - self.schedule.before if self.currency == self.currency_before else None


@dataclass(frozen=True, slots=True)
class AmendmentStep:
    """`comparison` None: it waits for the amendment before it."""

    number: int
    executed_at: datetime
    effective_on: date | None
    summary: str
    signed_by: str
    event_id: str
    comparison: Comparison | None
    later: tuple[Change, ...] = ()  # of its terms those that hold from `effective_on`

    @property
    def all_later(self) -> bool:
        """Whether nothing of it holds before `effective_on`."""
        made = self.comparison
        if made is None or not self.later or made.delta != 0:
            return False
        rows = all(row.fate is Fate.SAME for row in made.schedule.rows)
        return rows and {change.field for change in made.terms} <= {change.field for change in self.later}


REST: Final = "not in the schedule"
In: TypeAlias = Mapping[str, str]  # by milestone, the currency in which it was invoiced
_UNSAID: Final[In] = {}


def compare(
    before: Contract, after: Contract, invoiced: Mapping[str, Decimal] | None = None, billed_in: In = _UNSAID
) -> Comparison:
    """`invoiced`: by milestone, net of credit notes; `billed_in`: its currency, where it is known. Expects `after` to
    have terms.
    """
    assert after.terms is not None  # noqa: S101 - an amendment of nothing changes nothing, and is left out before
    listed = [
        change
        for change in changes_between(flat(before), flat(after))
        if not change.field.startswith((*_PARTS, *_OF_CONTRACT))
    ]
    currency = after.terms.currency
    held = before.terms.currency if before.terms is not None else currency
    schedule = _schedule(before.terms, after.terms, _of(after, invoiced or {}), billed_in)
    return Comparison(currency, held, tuple(listed), schedule)


def amendments(
    events: Iterable[Event],
    invoiced: Mapping[str, Decimal] | None = None,
    billed_in: In = _UNSAID,
    *,
    day_at: DayAt,
    own: Collection[str] = (),
) -> tuple[AmendmentStep, ...]:
    """All of one contract, in the order of the fold. What uses a number again is none, whatever it says; a signature
    after an end begins to count anew. `own`: milestones of an agreement before that this one has too, and was billed.
    """
    found: list[AmendmentStep] = []
    seen: set[int] = set()
    for step in fold_steps(events, day_at=day_at):
        seen = set() if step.begins else seen
        payload = step.event.payload
        if not isinstance(payload, Amended):
            continue
        header = payload.amendment
        if header.number in seen and step.before.terms == step.after.terms:
            continue
        seen.add(header.number)
        known = step.before.terms is not None and step.after.terms is not None
        after = with_own(step.after, own)
        made = compare(step.before, after, invoiced, billed_in) if known and not step.waits else None
        since = _since(step.after, header)
        told = (header.number, header.executed_at, since, header.summary, header.signed_by)
        later = _later(step.before, step.after, since) if made is not None else ()
        found.append(AmendmentStep(*told, step.event.id, made, later))
    return tuple(found)


def _since(after: Contract, header: AmendmentHeader) -> date | None:
    """The day as it is agreed, which a correction may have moved."""
    agreed = {one.number: one.effective_on for one in after.amendments}
    return agreed.get(header.number, header.effective_on)


def _later(before: Contract, after: Contract, since: date | None) -> tuple[Change, ...]:
    """What of this amendment waits for its day: the terms until then against those from then on."""
    assert before.terms is not None and after.terms is not None  # noqa: S101, PT018 - compared before
    was, now = by_path(before.terms), by_path(after.terms)
    dated = [d for d in after.dated if d.until == since and not d.priced]
    waiting = {d.path: d.value for d in dated if was.get(d.path) != now.get(d.path)}
    until = replace(after, terms=with_values(after.terms, waiting))
    return tuple(changes_between(flat(until), flat(after)))


def books(contract: Contract, invoiced: Mapping[str, Decimal], billed_in: In = _UNSAID) -> Schedule | None:
    """How the contract as it stands is billed; None without terms."""
    terms = contract.terms
    return _schedule(terms, terms, _of(contract, invoiced), billed_in) if terms is not None else None


def _of(contract: Contract, invoiced: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Without what was invoiced under an agreement before."""
    own = {milestone.key for milestone in contract.terms.milestones} if contract.terms else set[str]()
    return {key: paid for key, paid in invoiced.items() if key in own or key not in contract.earlier}


@dataclass(frozen=True, slots=True)
class _Part:
    key: str
    name: str
    amount: Decimal
    due: date | None


def _schedule(before: Terms | None, after: Terms, invoiced: Mapping[str, Decimal], billed_in: In) -> Schedule:
    old = _parts(before) if before is not None else {}
    new = _parts(after)
    value_before = before.value if before is not None else _ZERO
    alike = before is None or before.currency == after.currency
    keys = dict.fromkeys((*old, *new, *invoiced))
    rows = [_row(key, old.get(key), new.get(key), invoiced.get(key), alike=alike) for key in keys]
    rest_before, rest_after = value_before - _sum(old.values()), after.value - _sum(new.values())
    if rest_before or rest_after:
        fate = Fate.SAME if alike and rest_before == rest_after else Fate.CHANGED
        rows.append(Row("", REST, rest_before, rest_after, None, None, fate, uncovered=True))
    others = {key: currency for key, currency in billed_in.items() if key in invoiced and currency != after.currency}
    rows = [replace(row, invoiced_in=others[row.key]) if row.key in others else row for row in rows]
    return Schedule(tuple(rows), value_before, after.value)


def _parts(terms: Terms) -> dict[str, _Part]:
    """By key; of a key that is used twice the last one, as in a change by key."""
    if terms.billing.kind is BillingKind.MILESTONES:
        return {m.key: _Part(m.key, m.name, m.amount, m.due_on) for m in terms.milestones}
    return {f"line {line.key}": _Part(line.key, line.description, line.amount, None) for line in terms.lines}


def _sum(parts: Iterable[_Part]) -> Decimal:
    return sum((part.amount for part in parts), _ZERO)


def _row(key: str, old: _Part | None, new: _Part | None, invoiced: Decimal | None, *, alike: bool) -> Row:
    shown = new or old
    if shown is None:  # the contract never had it, or not on either side of this amendment
        return Row(key, "no longer in the contract", None, None, None, None, Fate.SAME, invoiced)
    return Row(
        shown.key,
        shown.name,
        old.amount if old else None,
        new.amount if new else None,
        old.due if old else None,
        new.due if new else None,
        _fate(old, new, alike=alike),
        invoiced,
    )


def _fate(old: _Part | None, new: _Part | None, *, alike: bool) -> Fate:
    """`alike`: in one currency."""
    if old is None or new is None:
        return Fate.REMOVED if new is None else Fate.ADDED
    if not alike or old.amount != new.amount:
        return Fate.CHANGED
    return Fate.SAME if old.due == new.due else Fate.MOVED
