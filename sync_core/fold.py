"""The fold: all events of one contract, in any order, to the one canonical contract.

The order is made from content alone: (revision, amendment number, occurred_at, source, id), a correction
standing right behind the revision it overrides. Arrival never matters, so late, repeated and shuffled events
give the same contract. Amendment k waits for k-1: what stands behind a gap is not applied, nor is what corrects it. Of
two amendments of one number the first one stands. A signature after an end begins anew (sync_core/life/agreements.py).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import date, datetime

from sync_core.contract import Amendment, Contract, Decision, Path, RenewalNotice, Stage, Suspension
from sync_core.events import (
    OWN_ID,
    PREFIX,
    Amended,
    Approved,
    Changes,
    ClausesReviewed,
    Corrected,
    Decided,
    Drafted,
    Ended,
    Event,
    RenewalDeclined,
    RenewalInitiated,
    Renewed,
    Resumed,
    Signed,
    Suspended,
)
from sync_core.keys import ExternalId
from sync_core.life import agreements, amendment_days, changed, effective, lifecycle, silent
from sync_core.life.agreements import DayAt
from sync_core.life.silent import rate_key as rate_key

Order = tuple[int, int, int, datetime, str, str]


@dataclass(frozen=True, slots=True)
class FoldStep:
    """One event in its place. `waits`: it stands behind a gap, so that `after` is `before`."""

    event: Event
    before: Contract
    after: Contract
    waits: bool = False
    begins: bool = False  # a new agreement, after an end


def fold(events: Iterable[Event], *, as_of: datetime | None = None, day_at: DayAt) -> Contract:
    """The contract that `events` (one contract's, at least one) describe, as of a moment or as of all of them.

    `day_at`: the estate's, since what was said of a day is of the legal entity's.

    Raises ValueError for no events or events of several contracts: the caller mixed up its rows.
    """
    return fold_steps(events, as_of=as_of, day_at=day_at)[-1].after


def fold_steps(events: Iterable[Event], *, as_of: datetime | None = None, day_at: DayAt) -> list[FoldStep]:
    """How it came about: each event in the order of the fold, at least one. Raises as `fold`."""
    distinct = {(event.source, event.id): event for event in events if as_of is None or event.occurred_at <= as_of}
    ordered = sorted(distinct.values(), key=_order)
    if not ordered:
        raise ValueError("no events to fold; pass all events of one contract")
    first = ordered[0]
    if any(event.payload.contract_id != first.payload.contract_id for event in ordered):
        raise ValueError("events of several contracts in one fold; group them by contract first")
    contract = Contract(first.source, ExternalId(first.payload.contract_id), Stage.DRAFT, terms=None)
    steps = _agreement(contract, ordered, (), day_at)
    while len(steps) < len(ordered):
        before, said = steps[-1].after, ordered[: len(steps)]
        made = _agreement(agreements.left(before, said), ordered[len(steps) :], said, day_at)
        steps += [replace(made[0], before=before, begins=True), *made[1:]]
    return steps


def _agreement(contract: Contract, events: Sequence[Event], said: Sequence[Event], day_at: DayAt) -> list[FoldStep]:
    """Up to the signature that begins the next one, which is seen by what was agreed until then."""
    steps: list[FoldStep] = []
    for end in agreements.ends(events):
        steps = _steps(contract, events[:end], agreements.missing_amendment(events[:end], said), day_at)
        after = steps[-1].after
        if end < len(events) and after.signed_at is not None and not _stands(after, events[end], day_at):
            break
    return steps


def _steps(contract: Contract, events: Sequence[Event], missing: int | None, day_at: DayAt) -> list[FoldStep]:
    contract = replace(contract, missing_amendment=missing)
    steps: list[FoldStep] = []
    waiting = _waiting(events, missing)
    days = amendment_days.of(events, waiting)
    heard: list[Event] = []
    applied: dict[int, FoldStep] = {}  # amendments, by number
    for event, waits in zip(events, waiting, strict=True):
        step = FoldStep(event, contract, contract, waits)
        if not waits:
            heard.append(event)
            step = replace(step, after=_after(contract, event, applied, days.moved, day_at))
        if isinstance(event.payload, Amended) and not waits and contract.signed_at is not None:
            applied.setdefault(event.payload.amendment.number, step)
        contract = amendment_days.seen(step.after, days, heard, (one.event for one in applied.values()))
        steps.append(replace(step, after=contract))
    return steps


def _after(
    contract: Contract, event: Event, applied: Mapping[int, FoldStep], moved: Mapping[int, date | None], day_at: DayAt
) -> Contract:
    again = applied.get(event.payload.amendment.number) if isinstance(event.payload, Amended) else None
    if again is not None:
        return _numbered_again(contract, again, event)
    return _apply(contract, amendment_days.as_agreed(event, moved), day_at)


def _waiting(events: Sequence[Event], missing: int | None) -> list[bool]:
    """Of each, whether it stands behind a gap."""
    listed: list[bool] = []
    revisions: set[int] = set()
    for event in events:
        listed.append(_waits(event, missing, revisions))
        if listed[-1]:
            revisions.add(event.payload.revision)
    return listed


def _order(event: Event) -> Order:
    payload = event.payload
    revision, behind, number = payload.revision, 0, 0
    if isinstance(payload, Corrected):
        revision, behind, number = payload.overrides, 1, payload.revision
    elif isinstance(payload, Amended):
        number = payload.amendment.number
    return revision, behind, number, event.occurred_at, event.source, event.id


def _waits(event: Event, missing: int | None, waiting: Set[int]) -> bool:
    payload = event.payload
    if isinstance(payload, Corrected):
        return payload.overrides in waiting
    return isinstance(payload, Amended) and missing is not None and payload.amendment.number > missing


def _apply(contract: Contract, event: Event, day_at: DayAt) -> Contract:
    stands = _stands(contract, event, day_at)
    entity = contract.terms.legal_entity if contract.terms else ""
    applied = silent.settled(contract, _stepped(contract, event, day_at, stands=stands))
    if isinstance(event.payload, Corrected):
        said_on = day_at(entity, event.occurred_at)
        applied = effective.corrected(contract, applied, _said(event), said_on)
    elif not isinstance(event.payload, Signed) or stands:
        header = event.payload.amendment if isinstance(event.payload, Amended) else None
        since, executed = (header.effective_on, day_at(entity, header.executed_at)) if header else (None, None)
        applied = effective.noted(contract, applied, since, _said(event), executed_on=executed)
    return replace(applied, revision=max(applied.revision, event.payload.revision))


def _stepped(contract: Contract, event: Event, day_at: DayAt, *, stands: bool) -> Contract:
    if isinstance(event.payload, Signed):
        return _signed(contract, event, event.payload, stands=stands)
    if isinstance(event.payload, Renewed):
        return _renewed(contract, event, event.payload, day_at)
    return _STEPS[type(event.payload)](contract, event)


def _stands(contract: Contract, event: Event, day_at: DayAt) -> bool:
    return isinstance(event.payload, Signed) and agreements.stands(contract, event.payload, day_at)


def _numbered_again(contract: Contract, first: FoldStep, event: Event) -> Contract:
    """The amendment of that number stands as it was said first; other terms, or another day, are a silent change."""
    assert isinstance(event.payload, Amended)  # noqa: S101 - narrows the type
    stated = _changed(first.before, event.payload.changes, event)
    after = silent.numbered_again(contract, first.after.terms, stated.terms, event.id)
    return replace(after, revision=max(contract.revision, event.payload.revision))


def _said(event: Event) -> set[Path]:
    """What an amendment or a correction names."""
    return changed.named(event.payload.changes) if isinstance(event.payload, Amended | Corrected) else set()


def _drafted(contract: Contract, event: Event) -> Contract:
    assert isinstance(event.payload, Drafted)  # noqa: S101 - narrows the type; _STEPS guarantees it
    return contract if contract.signed_at else replace(contract, terms=event.payload.terms)


def _approved(contract: Contract, event: Event) -> Contract:
    assert isinstance(event.payload, Approved)  # noqa: S101
    return replace(contract, approval=event.payload.approval)


def _clauses(contract: Contract, event: Event) -> Contract:
    assert isinstance(event.payload, ClausesReviewed)  # noqa: S101
    known = dict(contract.clauses) | event.payload.clauses
    return replace(contract, clauses=tuple(sorted(known.items())))


def _signed(contract: Contract, event: Event, payload: Signed, *, stands: bool) -> Contract:
    if not stands:
        return agreements.signed(contract, payload)
    again = silent.published_again(contract, payload.terms, event.id)
    return again if again.silent else replace(again, signed_at=payload.signed_at)


def _amended(contract: Contract, event: Event) -> Contract:
    payload = event.payload
    assert isinstance(payload, Amended)  # noqa: S101
    header = payload.amendment
    amendment = Amendment(header.number, header.executed_at, header.effective_on, header.summary)
    others = tuple(a for a in contract.amendments if a.number != header.number)
    listed = tuple(sorted((*others, amendment), key=lambda a: a.number))
    return replace(silent.agreed_anew(contract, _changed(contract, payload.changes, event)), amendments=listed)


def _corrected(contract: Contract, event: Event) -> Contract:
    assert isinstance(event.payload, Corrected)  # noqa: S101
    after = _changed(contract, event.payload.changes, event)
    # The CLM knows its own corrections; of ours it does not.
    return silent.corrected(contract, after) if event.id.startswith(OWN_ID) else silent.agreed_anew(contract, after)


def _renewed(contract: Contract, event: Event, payload: Renewed, day_at: DayAt) -> Contract:
    if contract.terms is None:
        return _puzzled(contract, event)
    said_on = day_at(contract.terms.legal_entity, event.occurred_at)
    ends_on = payload.ends_on or lifecycle.renewed_end(contract, payload.renewal, said_on)
    terms = replace(contract.terms, renewal=payload.renewal, ends_on=ends_on)
    return replace(contract, terms=terms, renewal_notice=None)


def _noticed(contract: Contract, event: Event) -> Contract:
    payload = event.payload
    if isinstance(payload, RenewalDeclined):
        notice = RenewalNotice(True, payload.declined_on, payload.renews_on, payload.reason)
    else:
        assert isinstance(payload, RenewalInitiated)  # noqa: S101
        notice = RenewalNotice(False, payload.initiated_on, payload.renews_on)
    return replace(contract, renewal_notice=notice)


def _suspended(contract: Contract, event: Event) -> Contract:
    payload = event.payload
    assert isinstance(payload, Suspended)  # noqa: S101
    return lifecycle.suspended(contract, Suspension(payload.suspended_on, payload.resumes_on, payload.reason))


def _resumed(contract: Contract, event: Event) -> Contract:
    assert isinstance(event.payload, Resumed)  # noqa: S101
    return lifecycle.resumed(contract, event.payload.resumed_on)


def _ended(contract: Contract, event: Event) -> Contract:
    assert isinstance(event.payload, Ended)  # noqa: S101
    stage = Stage.CANCELLED if event.type.startswith(f"{PREFIX}cancelled") else Stage.TERMINATED
    return replace(contract, stage=stage, ended_on=event.payload.ended_on)


def _decided(contract: Contract, event: Event) -> Contract:
    payload = event.payload
    assert isinstance(payload, Decided)  # noqa: S101
    approved = payload.decision == "approved"
    decision = Decision(
        payload.rule, approved, payload.amount, payload.currency, payload.by, payload.reason, event.occurred_at
    )
    return replace(contract, decisions=(*contract.decisions, decision))


_STEPS: dict[type, Callable[[Contract, Event], Contract]] = {
    Drafted: _drafted,
    Approved: _approved,
    ClausesReviewed: _clauses,
    Amended: _amended,
    Corrected: _corrected,
    RenewalInitiated: _noticed,
    RenewalDeclined: _noticed,
    Suspended: _suspended,
    Resumed: _resumed,
    Ended: _ended,
    Decided: _decided,
}


def _changed(contract: Contract, changes: Changes, event: Event) -> Contract:
    if contract.terms is None:
        return _puzzled(contract, event)
    notice = None if "renewal" in changed.header(changes) else contract.renewal_notice
    return replace(contract, terms=changed.changed(contract.terms, changes), renewal_notice=notice)


def _puzzled(contract: Contract, event: Event) -> Contract:
    words = f"{event.type} revision {event.payload.revision} changes terms that were never sent"
    return replace(contract, problems=(*contract.problems, words))
