"""The first half of a contract's story: drafts, clause review and approval, days before the signature; then signing.

What is published carries the defect, if there is one; a repair follows in the time of the function that owns it.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from math import exp, log

from pydantic import JsonValue

from app.sandbox.clm.changes import ChangeKind, DeliveryFault, Fault, Repeat
from app.sandbox.clm.wire import jsonable, moment
from app.sandbox.portfolio.amendments import changes_between
from app.sandbox.portfolio.case import Case
from app.sandbox.portfolio.defects import TREATMENTS, Defect, Repair
from app.sandbox.portfolio.words import ALWAYS_CLAUSES, CLAUSES
from sync_core.contract import Approval, ClauseStatus, Terms
from sync_core.money import rounded

LONGEST_LEAD = timedelta(days=50)
_AMOUNTS = frozenset({"value", "amount", "rate", "planned_hours", "not_to_exceed"})


def before_signature(case: Case) -> None:
    """One to three drafts, the clauses, the CLM's own approval."""
    rng = case.rng
    lead = min(timedelta(days=exp(rng.gauss(log(9), 0.7))), LONGEST_LEAD, case.signed_at - case.earliest)
    drafts = rng.choices([1, 2, 3], [50, 35, 15])[0]
    times = _times(case, lead, drafts + 4)
    for left in reversed(range(drafts)):
        case.tell(times.pop(0), ChangeKind.DRAFTED, {"terms": jsonable(_negotiated(case, left))})
    case.tell(times.pop(0), ChangeKind.APPROVED, {"approval": Approval.PENDING.value})
    clauses = _clauses(case)
    rejected = _REJECTED if case.defect is Defect.CLAUSE_REJECTED else ()
    clauses |= dict.fromkeys(rejected, ClauseStatus.REJECTED)
    case.tell(times.pop(0), ChangeKind.CLAUSES, {"clauses": jsonable(clauses)})
    negotiated = [name for name, status in clauses.items() if status is ClauseStatus.NEGOTIATED]
    if negotiated:
        agreed = dict.fromkeys(negotiated, ClauseStatus.APPROVED.value)
        case.tell(times.pop(0), ChangeKind.CLAUSES, {"clauses": jsonable(agreed)})
    approved_at = times.pop()
    if case.defect is Defect.OUT_OF_ORDER:
        approved_at = case.signed_at - timedelta(seconds=90)
        case.meanwhile(approved_at - timedelta(seconds=1), DeliveryFault(case.contract_id, Fault.REORDER))
    case.tell(approved_at, ChangeKind.APPROVED, {"approval": Approval.APPROVED.value})


def signature(case: Case) -> None:
    """The signature as published, and the repair of what is wrong with it."""
    published = case.signed_at + timedelta(minutes=case.rng.uniform(0.2, 9) if case.tempo.office else 0.02)
    body: dict[str, JsonValue] = {"signed_at": moment(case.signed_at), "terms": _terms(case)}
    if case.defect is Defect.UNREADABLE:
        _unreadable(case, published, body)
        return
    if case.defect is Defect.REPEATED:
        case.meanwhile(published - timedelta(seconds=1), DeliveryFault(case.contract_id, Fault.DUPLICATE))
    shows = case.defect if case.defect in _SHOWS_AT_SIGNATURE else None
    at = case.tell(published, ChangeKind.SIGNED, body, defect=shows)
    signed_revision = case.revision
    if case.defect is Defect.REPEATED:
        for _ in range(case.rng.randrange(1, 4)):
            at += timedelta(minutes=case.rng.uniform(1, 40))
            case.over_at = case.meanwhile(at, Repeat(case.contract_id))
    if case.defect and TREATMENTS[case.defect].repair is Repair.CORRECTION:
        changes = changes_between(case.shown, case.terms)
        repaired: dict[str, JsonValue] = {"overrides": signed_revision, "changes": changes}
        at = case.repaired_at(at, case.defect)
        case.tell(at, ChangeKind.CORRECTED, repaired, defect=case.defect, repairs=True)
    elif case.defect is Defect.CLAUSE_REJECTED:
        agreed: dict[str, JsonValue] = {"clauses": dict.fromkeys(_REJECTED, ClauseStatus.APPROVED.value)}
        at = case.repaired_at(at, case.defect)
        case.tell(at, ChangeKind.CLAUSES, agreed, defect=case.defect, repairs=True)


_REJECTED = ("limitation_of_liability",)
_SHOWS_AT_SIGNATURE = frozenset(Defect) - {Defect.AMENDMENT_GAP, Defect.UNNUMBERED_CHANGE, Defect.UNREADABLE}


def _unreadable(case: Case, at: datetime, body: Mapping[str, JsonValue]) -> None:
    """The CLM was updated and speaks version 3, which renamed the terms, until somebody switches it back."""
    strange = {"signedAt": body["signed_at"], "agreement": body["terms"]}
    case.tell(at, ChangeKind.SIGNED, strange, version=3, defect=Defect.UNREADABLE)
    again = case.repaired_at(at, Defect.UNREADABLE)
    case.tell(again, ChangeKind.SIGNED, body, defect=Defect.UNREADABLE, repairs=True)


def _times(case: Case, lead: timedelta, count: int) -> list[datetime]:
    """Rising moments from `lead` before the signature to shortly before it, in office hours when there is room."""
    latest = case.signed_at - min(timedelta(minutes=3), lead * 0.05)
    moments = []
    for n in range(count):
        at = case.signed_at - lead * (1 - n / count)
        if case.tempo.office and lead > timedelta(days=3):
            at = case.office_moment(at.date())
        moments.append(min(max(at, case.earliest), latest))
    return sorted(moments)


def _negotiated(case: Case, left: int) -> Terms:
    """An earlier draft asked for a little more; the last one is what is signed."""
    if not left:
        return case.shown
    more = rounded(case.shown.value * Decimal(100 + 4 * left) / 100, case.shown.currency)
    return replace(case.shown, value=more, lines=(), milestones=(), rates=())


def _clauses(case: Case) -> dict[str, ClauseStatus]:
    chosen = [name for name, share in CLAUSES if case.rng.random() < share]
    return {
        name: ClauseStatus.NEGOTIATED if case.rng.random() < 0.2 else ClauseStatus.STANDARD
        for name in (*ALWAYS_CLAUSES, *chosen)
    }


def _terms(case: Case) -> JsonValue:
    terms = jsonable(case.shown)
    return _amounts_as_text(terms) if case.defect is Defect.AMOUNTS_AS_TEXT else terms


def _amounts_as_text(value: JsonValue) -> JsonValue:
    if isinstance(value, list):
        return [_amounts_as_text(item) for item in value]
    if isinstance(value, dict):
        return {
            key: str(item) if key in _AMOUNTS and isinstance(item, (int, float)) else _amounts_as_text(item)
            for key, item in value.items()
        }
    return value
