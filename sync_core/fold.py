"""The fold: all events of one contract, in any order, to the one canonical contract.

The order is made from content alone: (revision, amendment number, occurred_at, source, id), a correction
standing right behind the revision it overrides. Arrival never matters, so late, repeated and shuffled events
give the same contract. Amendment k waits for k-1: what stands behind a gap is not applied, nor is what corrects it.
"""

from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from sync_core.contract import (
    Amendment,
    Contract,
    ContractLine,
    Decision,
    LabourRate,
    Milestone,
    Path,
    RenewalNotice,
    Stage,
    Suspension,
    Terms,
)
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
from sync_core.life import effective, lifecycle, silent
from sync_core.life.silent import rate_key as rate_key

Part = TypeVar("Part", ContractLine, Milestone, LabourRate)
Order = tuple[int, int, int, datetime, str, str]


@dataclass(frozen=True, slots=True)
class FoldStep:
    """One event in its place. `waits`: it stands behind a gap, so that `after` is `before`."""

    event: Event
    before: Contract
    after: Contract
    waits: bool = False


def fold(events: Iterable[Event], *, as_of: datetime | None = None) -> Contract:
    """The contract that `events` (one contract's, at least one) describe, as of a moment or as of all of them.

    Raises ValueError for no events or events of several contracts: the caller mixed up its rows.
    """
    return fold_steps(events, as_of=as_of)[-1].after


def fold_steps(events: Iterable[Event], *, as_of: datetime | None = None) -> list[FoldStep]:
    """How it came about: each event in the order of the fold, at least one. Raises as `fold`."""
    distinct = {(event.source, event.id): event for event in events if as_of is None or event.occurred_at <= as_of}
    ordered = sorted(distinct.values(), key=_order)
    if not ordered:
        raise ValueError("no events to fold; pass all events of one contract")
    first = ordered[0]
    if any(event.payload.contract_id != first.payload.contract_id for event in ordered):
        raise ValueError("events of several contracts in one fold; group them by contract first")
    missing = _missing_amendment(ordered)
    contract = Contract(
        source=first.source,
        external_id=ExternalId(first.payload.contract_id),
        stage=Stage.DRAFT,
        terms=None,
        missing_amendment=missing,
    )
    steps: list[FoldStep] = []
    waiting: set[int] = set()  # revisions
    for event in ordered:
        waits = _waits(event, missing, waiting)
        if waits:
            waiting.add(event.payload.revision)
        after = contract if waits else _apply(contract, event)
        steps.append(FoldStep(event, contract, after, waits))
        contract = after
    return steps


def _order(event: Event) -> Order:
    payload = event.payload
    revision, behind, number = payload.revision, 0, 0
    if isinstance(payload, Corrected):
        revision, behind, number = payload.overrides, 1, payload.revision
    elif isinstance(payload, Amended):
        number = payload.amendment.number
    return revision, behind, number, event.occurred_at, event.source, event.id


def _missing_amendment(events: Sequence[Event]) -> int | None:
    numbers = {e.payload.amendment.number for e in events if isinstance(e.payload, Amended)}
    if not numbers:
        return None
    return next((n for n in range(1, max(numbers)) if n not in numbers), None)


def _waits(event: Event, missing: int | None, waiting: Set[int]) -> bool:
    payload = event.payload
    if isinstance(payload, Corrected):
        return payload.overrides in waiting
    return isinstance(payload, Amended) and missing is not None and payload.amendment.number > missing


def _apply(contract: Contract, event: Event) -> Contract:
    step = _STEPS[type(event.payload)]
    applied = silent.settled(contract, step(contract, event))
    if not isinstance(event.payload, Signed) or _stands(contract):
        since = event.payload.amendment.effective_on if isinstance(event.payload, Amended) else None
        applied = effective.noted(contract, applied, since, _said(event))
    return replace(applied, revision=max(applied.revision, event.payload.revision))


def _stands(contract: Contract) -> bool:
    """Whether a signature says again what was signed before."""
    return contract.stage is Stage.SIGNED and contract.terms is not None


def _said(event: Event) -> set[Path]:
    """What an amendment or a correction names."""
    if not isinstance(event.payload, Amended | Corrected):
        return set()
    changes = event.payload.changes
    rates = [*map(rate_key, changes.rates), *changes.remove_rates]
    return {(name, "") for name in changes.model_fields_set & _HEADER} | {("rates", key) for key in rates}


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


def _signed(contract: Contract, event: Event) -> Contract:
    payload = event.payload
    assert isinstance(payload, Signed)  # noqa: S101
    if _stands(contract):
        again = silent.published_again(contract, payload.terms, event.id)
        return again if again.silent else replace(again, signed_at=payload.signed_at)
    # The first signature; or one of a later revision than an end, which signs the contract anew.
    return replace(
        contract,
        stage=Stage.SIGNED,
        terms=payload.terms,
        signed_at=payload.signed_at,
        ended_on=None,
        silent=(),
        silent_since=None,
        repaired=(),
        renewal_notice=None,
        suspensions=(),
        dated=(),
    )


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


def _renewed(contract: Contract, event: Event) -> Contract:
    payload = event.payload
    assert isinstance(payload, Renewed)  # noqa: S101
    if contract.terms is None:
        return _puzzled(contract, event)
    ends_on = payload.ends_on or contract.terms.ends_on
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
    Signed: _signed,
    Amended: _amended,
    Corrected: _corrected,
    Renewed: _renewed,
    RenewalInitiated: _noticed,
    RenewalDeclined: _noticed,
    Suspended: _suspended,
    Resumed: _resumed,
    Ended: _ended,
    Decided: _decided,
}

_PARTS = frozenset({"lines", "milestones", "rates", "remove_lines", "remove_milestones", "remove_rates"})


def _changed(contract: Contract, changes: Changes, event: Event) -> Contract:
    if contract.terms is None:
        return _puzzled(contract, event)
    given = {name: getattr(changes, name) for name in changes.model_fields_set & _HEADER}
    terms: Terms = replace(
        contract.terms,
        **given,
        lines=_merged(contract.terms.lines, changes.lines, changes.remove_lines, lambda part: part.key),
        milestones=_merged(
            contract.terms.milestones, changes.milestones, changes.remove_milestones, lambda part: part.key
        ),
        rates=_merged(contract.terms.rates, changes.rates, changes.remove_rates, rate_key),
    )
    notice = None if "renewal" in given else contract.renewal_notice
    return replace(contract, terms=terms, renewal_notice=notice)


_HEADER = frozenset(Changes.model_fields) - _PARTS


def _merged(
    now: tuple[Part, ...], changed: tuple[Part, ...], removed: tuple[str, ...], key: Callable[[Part], str]
) -> tuple[Part, ...]:
    """Replaced by key in place, new ones behind, removed ones gone; the order depends on content alone."""
    if not changed and not removed:
        return now
    parts = {key(part): part for part in now} | {key(part): part for part in changed}
    return tuple(part for name, part in parts.items() if name not in removed)


def _puzzled(contract: Contract, event: Event) -> Contract:
    words = f"{event.type} revision {event.payload.revision} changes terms that were never sent"
    return replace(contract, problems=(*contract.problems, words))
