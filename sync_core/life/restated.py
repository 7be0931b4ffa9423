"""What legal is told of a silent change, and when; and since when an amendment waits for one before it. Pure.

A numbered amendment may still be on its way, so there is the same grace time first.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from sync_core.cases.rules import SILENT
from sync_core.contract import Contract, Terms
from sync_core.errors import ErrorClass, Function
from sync_core.events import Amended, Event
from sync_core.findings import Difference, Finding
from sync_core.fold import fold_steps
from sync_core.life import amendment_days
from sync_core.life.agreements import DayAt
from sync_core.life.contract_words import EFFECTIVE, NEVER_SENT, changes_between, flat
from sync_core.life.silent import as_published, with_values
from sync_core.money_words import said

CAUSE: Final = SILENT
_NAMED: Final = 6  # changes told in words; all are in the exception's differences


def differences(contract: Contract) -> tuple[Difference, ...]:
    """Agreed against published, field by field; the same whatever day it is."""
    agreed = replace(contract, terms=_agreed(contract))
    sides = (agreed, replace(amendment_days.stated(contract), terms=as_published(contract)))
    listed = [
        Difference("changed", change.field, change.before, change.after)
        for change in changes_between(*(flat(side) for side in sides))
    ]
    for one in amendment_days.of_none(contract):
        named = f"amendment {one.number} {NEVER_SENT}, {EFFECTIVE}"
        listed.append(Difference("changed", named, None, one.stated.isoformat() if one.stated else None))
    return tuple(listed)


def _agreed(contract: Contract) -> Terms | None:
    """Of a contract as it stands on a day some terms are others by then."""
    return with_values(contract.terms, {one.path: one.agreed for one in contract.silent}) if contract.terms else None


def finding(contract: Contract) -> Finding:
    """Expects a silent change."""
    parts = differences(contract)
    agreed, published = _agreed(contract), as_published(contract)
    before, after = (terms.currency if terms else None for terms in (agreed, published))
    told = "; ".join(
        f"{one.what}: {said(one.what, one.held, before) or 'none'} → {said(one.what, one.wanted, after) or 'none'}"
        for one in parts[:_NAMED]
    )
    more = f"; and {len(parts) - _NAMED} more" if len(parts) > _NAMED else ""
    words = f"published again with other terms and no amendment says so: {told}{more}"
    return Finding(ErrorClass.SEQUENCE_GAP, "silent_change", Function.LEGAL, words, _money(contract), parts)


def due(contract: Contract, stored: Mapping[str, datetime], grace: timedelta, now: datetime) -> datetime | None:
    """From when it is an exception; None: nothing was changed silently. `stored`: what was published, by event id."""
    if not contract.differs_silently:
        return None
    return stored.get(contract.silent_since or "", now) + grace


def gap_since(events: Iterable[Event], stored: Mapping[str, datetime], now: datetime, day_at: DayAt) -> datetime:
    """Since when an amendment waits for one before it: those that come after the first one put nothing off."""
    steps = (step for step in fold_steps(events, day_at=day_at) if step.waits)
    waiting = (step.event.id for step in steps if isinstance(step.event.payload, Amended))
    return min((stored[name] for name in waiting if name in stored), default=now)


def _money(contract: Contract) -> Decimal:
    """By how much the contract would be worth more or less."""
    agreed, published = _agreed(contract), as_published(contract)
    if agreed is None or published is None:
        return Decimal(0)
    return abs(published.value - agreed.value) if agreed.currency == published.currency else published.value
