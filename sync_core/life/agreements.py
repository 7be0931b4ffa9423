"""Where one agreement of a contract ends and the next begins: a signature after an end is a new one. Pure.

A contract ends by what its CLM says, or with its last day where its renewal was declined; the latter by the day of the
signature that comes after it, as it is at the legal entity, never by a clock. What is signed then takes over nothing of
before: no approvals and clauses but those of which something was said since the end, and its amendments are numbered by
themselves.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TypeAlias

from sync_core.contract import Approval, ClauseStatus, Contract, Stage
from sync_core.events import Amended, Approved, ClausesReviewed, Ended, Event, RenewalDeclined, Signed
from sync_core.life.lifecycle import on_day

DayAt: TypeAlias = Callable[[str, datetime], date]
"""The day it is at a legal entity at a moment: `Estate.day_at`."""


def day_in_utc(_entity: str, at: datetime) -> date:
    return at.astimezone(UTC).date()


def stands(contract: Contract, signature: Signed, day_at: DayAt) -> bool:
    """Whether a signature says again what was signed before: it stands until the contract ends."""
    if contract.stage is not Stage.SIGNED or contract.terms is None or contract.signed_at is None:
        return False
    if signature.signed_at <= contract.signed_at:
        return True
    day = day_at(contract.terms.legal_entity, signature.signed_at)
    return on_day(contract, day).contract.stage is not Stage.EXPIRED


def signed(contract: Contract, signature: Signed) -> Contract:
    """By its first signature, or by one after an end (of what is `left` then)."""
    return replace(
        contract,
        stage=Stage.SIGNED,
        terms=signature.terms,
        signed_at=signature.signed_at,
        ended_on=None,
        silent=(),
        silent_days=(),
        silent_since=None,
        repaired=(),
        renewal_notice=None,
        suspensions=(),
        dated=(),
    )


def ends(events: Sequence[Event]) -> Iterator[int]:
    """Where the agreement that begins with these events may be over: before a signature behind an end, and at last."""
    over = False
    for place, event in enumerate(events):
        if place and over and isinstance(event.payload, Signed):
            yield place
        over = over or isinstance(event.payload, Ended | RenewalDeclined)
    yield len(events)


def left(contract: Contract, said: Sequence[Event]) -> Contract:
    """What a new agreement begins with. `said`: the events of before, in the order of the fold."""
    approval, clauses = Approval.PENDING, dict[str, ClauseStatus]()
    for event in said:
        match event.payload:
            case Ended() | RenewalDeclined():
                approval, clauses = Approval.PENDING, {}
            case Approved() as told:
                approval = told.approval
            case ClausesReviewed() as told:
                clauses |= told.clauses
    milestones = contract.terms.milestones if contract.terms else ()
    return Contract(
        contract.source,
        contract.external_id,
        Stage.DRAFT,
        terms=None,
        revision=contract.revision,
        earlier=tuple(sorted({*contract.earlier, *(one.key for one in milestones)})),
        approval=approval,
        clauses=tuple(sorted(clauses.items())),
    )


def missing_amendment(events: Sequence[Event], said: Sequence[Event]) -> int | None:
    """Of one agreement: the first number that is not there while later ones are. `said`: the events before it.

    Its numbers begin at 1, or go on behind those of the agreement before: CLMs do either.
    """
    numbers, used = _numbers(events), max(_numbers(said), default=0)
    begin = used + 1 if min(numbers, default=0) > used else 1
    return next((n for n in range(begin, max(numbers, default=0)) if n not in numbers), None)


def _numbers(events: Sequence[Event]) -> set[int]:
    return {event.payload.amendment.number for event in events if isinstance(event.payload, Amended)}
