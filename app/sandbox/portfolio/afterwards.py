"""The second half of a contract's story: amendments, renewal, cancellation or termination."""

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from math import exp, log

from pydantic import JsonValue

from app.sandbox.chance import chance
from app.sandbox.clm.changes import Change, ChangeKind
from app.sandbox.clm.wire import jsonable, moment
from app.sandbox.portfolio.amendments import amend, changes_between, deducted, value_up
from app.sandbox.portfolio.case import Case
from app.sandbox.portfolio.defects import Defect
from app.sandbox.portfolio.words import CANCELLED, DECLINED, TERMINATED
from sync_core.contract import BillingKind, Renewal, Terms

_AMENDED = ([0, 1, 2, 3], [68, 21, 8, 3])
_CANCELLED, _TERMINATED, _DEDUCTED = 0.025, 0.02, 0.04
_TALKS = timedelta(days=20)  # begin so long before the notice date


def afterwards(case: Case) -> None:
    """Everything that follows the signature (and its repair)."""
    if case.defect is Defect.AMENDMENT_GAP:
        _gap(case)
    elif case.defect is Defect.UNNUMBERED_CHANGE:
        _unnumbered(case)
    elif case.defect is None and case.rng.random() < _CANCELLED:
        _cancelled(case)
        return
    for _ in range(case.rng.choices(*_AMENDED)[0]):
        _amended(case, _next_amendment(case))
    if case.defect is None and case.tempo.office and chance("deducted", case.contract_id).random() < _DEDUCTED:
        _deducted(case)
    if case.defect is None and case.rng.random() < _TERMINATED:
        _terminated(case)
    else:
        _renewed(case)


def _next_amendment(case: Case) -> datetime:
    return case.days_later(case.over_at or case.signed_at, exp(case.rng.gauss(log(38), 0.7)))


def _amended(case: Case, at: datetime) -> None:
    if case.terms.ends_on and at.date() >= case.terms.ends_on:
        return
    old = case.terms
    case.terms, summary = amend(case.rng, old, at.date())
    case.tell(at, ChangeKind.AMENDED, _amendment(case, at, old, summary))


def _amendment(case: Case, at: datetime, old: Terms, summary: str) -> dict[str, JsonValue]:
    """Numbers the amendment. Executed shortly before it is published; effective at once or on the first of a month."""
    case.amendments += 1
    executed_at = at - timedelta(minutes=case.rng.uniform(1, 30) if case.tempo.office else 0)
    effective = at.date()
    if case.rng.random() < 0.3:
        effective = (effective.replace(day=1) + timedelta(days=32)).replace(day=1)
    header: JsonValue = {
        "number": case.amendments,
        "executed_at": moment(executed_at),
        "effective_on": effective.isoformat(),
        "summary": summary,
    }
    return {"amendment": header, "changes": changes_between(old, case.terms)}


def _deducted(case: Case) -> None:
    """What was invoiced for the first milestone is accepted with a deduction: finance has to credit it."""
    first = min(case.terms.milestones, key=lambda milestone: milestone.due_on, default=None)
    if first is None:
        return
    due = datetime.combine(first.due_on, time(12), case.signed_at.tzinfo)
    at = case.days_later(max(case.over_at or case.signed_at, due), case.rng.uniform(6, 20))
    if case.terms.ends_on and at.date() >= case.terms.ends_on:
        return
    old = case.terms
    case.terms = deducted(case.rng, old)
    case.tell(at, ChangeKind.AMENDED, _amendment(case, at, old, "Accepted with a deduction"))


def _gap(case: Case) -> None:
    """Amendment 2 is published; amendment 1, executed before it, lies on a desk under the revision kept for it."""
    executed_at = _next_amendment(case)
    old = case.terms
    case.terms, summary = amend(case.rng, old, executed_at.date())
    late = _amendment(case, executed_at, old, summary)
    kept = case.revision + 1
    at = case.days_later(executed_at, case.rng.uniform(1, 6))
    old = case.terms
    case.terms, summary = amend(case.rng, old, at.date())
    early = _amendment(case, at, old, summary)
    gap = Defect.AMENDMENT_GAP
    first = Change(case.contract_id, ChangeKind.AMENDED, {**early, **case.extra}, revision=kept + 1)
    second = Change(case.contract_id, ChangeKind.AMENDED, {**late, **case.extra}, revision=kept)
    shown_at = case.tell_reserved(at, first, defect=gap)
    case.tell_reserved(case.repaired_at(shown_at, gap), second, defect=gap, repairs=True)


def _unnumbered(case: Case) -> None:
    """The signed document is published again with another value and no amendment; one is papered later."""
    at = case.days_later(case.over_at or case.signed_at, case.rng.uniform(4, 20))
    old = case.terms
    if old.billing.kind is BillingKind.MILESTONES:
        case.terms = value_up(case.rng, old, at.date())
    body: dict[str, JsonValue] = {"signed_at": moment(case.signed_at), "terms": jsonable(case.terms)}
    shown_at = case.tell(at, ChangeKind.SIGNED, body, defect=Defect.UNNUMBERED_CHANGE)
    papered = case.repaired_at(shown_at, Defect.UNNUMBERED_CHANGE)
    amendment = _amendment(case, papered, old, "Additional scope")
    case.tell(papered, ChangeKind.AMENDED, amendment, defect=Defect.UNNUMBERED_CHANGE, repairs=True)


def _cancelled(case: Case) -> None:
    at = case.days_later(case.over_at or case.signed_at, case.rng.uniform(0.2, 9))
    reason = case.rng.choice(CANCELLED)
    case.tell(at, ChangeKind.CANCELLED, {"ended_on": at.date().isoformat(), "reason": reason})


def _terminated(case: Case) -> None:
    last = case.over_at or case.signed_at
    at = case.days_later(last, case.rng.uniform(20, 120))
    if case.terms.ends_on is None or at.date() < case.terms.ends_on:
        ended_on = (at + timedelta(days=case.rng.choice([0, 0, 14, 30]))).date()
        reason = case.rng.choice(TERMINATED)
        case.tell(at, ChangeKind.TERMINATED, {"ended_on": ended_on.isoformat(), "reason": reason})


def _renewed(case: Case) -> None:
    """An automatic renewal counts once its notice has passed; others are talked about, and half of them declined."""
    renewal, ends_on = case.terms.renewal, case.terms.ends_on
    if not case.tempo.office or renewal.renews_on is None or renewal.notice_by is None or ends_on is None:
        return
    if not renewal.automatic and case.rng.random() < 0.5:
        _declined(case, renewal.notice_by)
        return
    at = case.office_moment(renewal.notice_by + timedelta(days=1))
    if case.over_at is not None and at <= case.over_at:
        return
    begun = None if renewal.automatic else case.office_moment(renewal.notice_by - _TALKS)
    if begun is not None and (case.over_at is None or begun > case.over_at):
        case.tell(begun, ChangeKind.RENEWAL_INITIATED, {"initiated_on": begun.date().isoformat()})
    new_end = ends_on + timedelta(days=365)
    notice = new_end - (renewal.renews_on - renewal.notice_by)
    again = Renewal(new_end, notice, automatic=renewal.automatic)
    case.tell(at, ChangeKind.RENEWED, {"renewal": jsonable(again), "ends_on": new_end.isoformat()})
    case.terms = replace(case.terms, renewal=again, ends_on=new_end)


def _declined(case: Case, notice_by: date) -> None:
    at = case.office_moment(notice_by - timedelta(days=3))
    if case.over_at is None or at > case.over_at:
        said: dict[str, JsonValue] = {"declined_on": at.date().isoformat(), "reason": case.rng.choice(DECLINED)}
        case.tell(at, ChangeKind.RENEWAL_DECLINED, said)
