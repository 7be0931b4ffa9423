"""From when an amendment holds: what an invoice is headed and priced by waits for its effective day. Pure.

An amendment is applied when it is executed: value, lines, milestones and dates have days of their own, and being early
with them bills nothing. But customer, legal entity, purchase order, tax, terms of payment, and hourly rates without a
first day would head or price invoices of before. Of these the old values are kept until `effective_on`; one that lies
in the past changes nothing of it: what was invoiced stays, and what is invoiced from now on is as amended.

Of hourly rates the line of time is whole, past days included, for an ERP that prices an hour by the day on which it was
worked (sync_core/life/rate_periods.py): one that is amended without a day has its old price until it was executed.
"""

from collections.abc import Iterator, Set
from dataclasses import fields, is_dataclass, replace
from datetime import date
from typing import Final

from sync_core.contract import BillingTerms, Contract, Dated, LabourRate, Party, Path
from sync_core.life.silent import by_path, with_values

_RATES: Final = "rates"
_HEADS: Final = frozenset({"customer", "legal_entity", "po_number", "tax", "billing"})


def noted(
    before: Contract,
    after: Contract,
    effective_on: date | None,
    said: Set[Path] = frozenset(),
    *,
    executed_on: date | None = None,
) -> Contract:
    """`after` an event; `effective_on` of an amendment, None: what it says holds at once. `said`: what it names, though
    that may be what the contract said already, of a later day. `executed_on`: of an amendment.
    """
    if after.terms is None or before.terms is None or before.terms is after.terms:
        return after
    if effective_on is None and executed_on is None and not before.dated:
        return after
    was, now = by_path(before.terms), by_path(after.terms)
    changed = {path for path in was.keys() | now.keys() if was.get(path) != now.get(path)} | said
    kept = [one for one in before.dated if one.path not in changed]
    for path in sorted(changed):
        line = [one for one in before.dated if one.path == path]
        # A category that is new has no price of before that could hold until then.
        priced = effective_on is None and path[0] == _RATES and path in was
        since = executed_on if priced else effective_on
        if since is not None and _waits(path, was.get(path), now.get(path)):
            until = next((one.value for one in line if one.until >= since), was.get(path))
            if not priced or line or until != now.get(path):
                kept += [*(one for one in line if one.until < since), Dated(path, since, until, priced)]
    return replace(after, dated=tuple(sorted(kept, key=lambda one: (one.path, one.until))))


def corrected(before: Contract, after: Contract, said: Set[Path], said_on: date) -> Contract:
    """`after` a correction. It is of single fields: what else of the same part waits for its day goes on waiting.
    A rate's price until a day that was over when it was `said_on` is history and stays.

    A field that itself waits holds at once as corrected; but where the correction accepts what was published silently,
    that was said of the terms as they will be, so until its day the old one holds.
    """
    if after.terms is None or before.terms is None or not before.dated:
        return after
    was, now = by_path(before.terms), by_path(after.terms)
    accepted = {one.path for one in before.silent if now.get(one.path) == one.stated}
    changed = {path for path in was.keys() | now.keys() if was.get(path) != now.get(path)} | said
    kept: list[Dated] = []
    for path in sorted({one.path for one in before.dated}):
        line = [one for one in before.dated if one.path == path]
        if path in changed:
            line = [
                one
                if _is_history(one, said_on)
                else replace(one, value=_mended(one.value, was.get(path), now.get(path), keeps=path in accepted))
                for one in line
            ]
        kept += line if path not in changed or any(one.value != now.get(path) for one in line) else []
    return replace(after, dated=tuple(kept))


def _mended(held: object, was: object, now: object, *, keeps: bool) -> object:
    """What holds before the day; `was` and `now`: after it. `keeps`: also a field that is corrected waits for it."""
    if held is None or type(held) is not type(was) or type(held) is not type(now) or not is_dataclass(held):
        return held if keeps else now
    names = [one.name for one in fields(held) if getattr(was, one.name) != getattr(now, one.name)]
    if isinstance(held, Party) and "code" not in names and held.code != getattr(was, "code", None):
        return held  # another customer until then
    alike = {name for name in names if getattr(held, name) == getattr(was, name)}
    values = {name: getattr(now, name) for name in names if name in alike or not keeps}
    return replace(held, **values) if names else now  # type: ignore[type-var]  # a part of the terms


def _is_history(one: Dated, on: date) -> bool:
    return one.path[0] == _RATES and one.until <= on


def _waits(path: Path, was: object, now: object) -> bool:
    if path[0] == _RATES:
        return all(rate.valid_from is None for rate in (was, now) if isinstance(rate, LabourRate))
    if isinstance(was, BillingTerms) and isinstance(now, BillingTerms):
        return was.kind is now.kind
    return path[0] in _HEADS


def in_force(contract: Contract, on: date) -> tuple[Contract, date | None]:
    """The contract with the terms of the day `on`, and the next day on which they are others."""
    coming = [one for one in contract.dated if one.until > on and not one.priced]
    if contract.terms is None or not coming:
        return contract, None
    values = dict(_first(coming))
    return replace(contract, terms=with_values(contract.terms, values)), min(one.until for one in coming)


def rates_on(contract: Contract, on: date) -> tuple[LabourRate, ...]:
    """The rate card by which hours worked on that day are priced, whether the day is over or ahead."""
    coming = [one for one in contract.dated if one.until > on and one.path[0] == _RATES]
    if contract.terms is None:
        return ()
    return with_values(contract.terms, dict(_first(coming))).rates if coming else contract.terms.rates


def rate_days(contract: Contract) -> set[date]:
    """On which the rate card may become another one."""
    dated = [one for one in contract.dated if one.path[0] == _RATES]
    cards = [*(contract.terms.rates if contract.terms else ()), *(one.value for one in dated)]
    begins = {rate.valid_from for rate in cards if isinstance(rate, LabourRate) and rate.valid_from}
    return begins | {one.until for one in dated}


def _first(coming: list[Dated]) -> Iterator[tuple[Path, object]]:
    """By path what holds until the next change of it; `coming` is in order."""
    seen: set[Path] = set()
    for one in coming:
        if one.path not in seen:
            seen.add(one.path)
            yield one.path, one.value
