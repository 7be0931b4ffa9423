"""From which day a numbered amendment holds, where it was said more than once: by its number again, or corrected. Pure.

The day that its number said first stands. Another one under the same number is kept beside it, as other terms are, and
is never applied by itself. A correction moves the day: the amendment then folds as if it had said the new one at once,
so what waits for its day waits for that one, and what held already since the old one waits again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date

from sync_core.contract import Contract, SilentDay
from sync_core.events import Amended, AmendmentHeader, Changes, Corrected, Event
from sync_core.life import changed


def corrected(events: Iterable[Event]) -> dict[int, date | None]:
    """By number, the day to which it was moved last. `events`: of one agreement, in the order of the fold, without
    those that wait.
    """
    days: dict[int, date | None] = {}
    known: set[int] = set()
    for event in events:
        if isinstance(event.payload, Amended):
            known.add(event.payload.amendment.number)
        elif isinstance(event.payload, Corrected):
            days |= {one.number: one.effective_on for one in event.payload.amendment_days if one.number in known}
    return days


def as_agreed(event: Event, days: Mapping[int, date | None]) -> Event:
    """An amendment with the day to which it was moved."""
    payload = event.payload
    if not isinstance(payload, Amended) or payload.amendment.number not in days:
        return event
    header = payload.amendment.model_copy(update={"effective_on": days[payload.amendment.number]})
    return replace(event, payload=payload.model_copy(update={"amendment": header}))


def said_again(contract: Contract, header: AmendmentHeader, event_id: str) -> Contract:
    """The contract after the number of an amendment was used again: the last word on its day is the CLM's."""
    agreed = {one.number: one.effective_on for one in contract.amendments}
    if header.number not in agreed:
        return contract
    others = [one for one in contract.silent_days if one.number != header.number]
    if header.effective_on != agreed[header.number]:
        others.append(SilentDay(header.number, agreed[header.number], header.effective_on))
    return _with(contract, others, event_id)


def settled(contract: Contract, event: Event, first: Mapping[int, Event]) -> Contract:
    """After a correction of the day, or an amendment that says all of the same terms and holds before either day.
    `first`: the amendments that stand, by number.
    """
    if not contract.silent_days:
        return contract
    return _with(contract, [one for one in contract.silent_days if not _settles(event, one, first)], None)


def stated(contract: Contract) -> Contract:
    """With the days that were published last, agreed or not."""
    days = {one.number: one.stated for one in contract.silent_days}
    listed = (replace(a, effective_on=days.get(a.number, a.effective_on)) for a in contract.amendments)
    return replace(contract, amendments=tuple(listed))


def accepting(contract: Contract) -> list[dict[str, object]]:
    """The `amendment_days` of the correction that accepts all days that were published silently."""
    return [{"number": one.number, "effective_on": one.stated} for one in contract.silent_days]


def _settles(event: Event, one: SilentDay, first: Mapping[int, Event]) -> bool:
    payload, amended = event.payload, first[one.number].payload if one.number in first else None
    if isinstance(payload, Corrected):
        return one.number in {day.number for day in payload.amendment_days}
    if not isinstance(payload, Amended) or not isinstance(amended, Amended):
        return False
    since = payload.amendment.effective_on
    before = since is None or all(day is not None and since <= day for day in (one.agreed, one.stated))
    return before and payload.amendment.number > one.number and _says_all_of(amended.changes, payload.changes)


def _says_all_of(said: Changes, says: Changes) -> bool:
    terms = changed.touched(said)
    return bool(terms) and terms <= changed.touched(says)


def _with(contract: Contract, days: Sequence[SilentDay], event_id: str | None) -> Contract:
    listed = tuple(sorted(days, key=lambda one: one.number))
    since = contract.silent_since or event_id if listed or contract.silent else None
    return replace(contract, silent_days=listed, silent_since=since)
