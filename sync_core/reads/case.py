"""One exception with all that its page shows: history, comments, the form that mends it, and what can be done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import sqlalchemy as sa

from sync_core.authority import Actor
from sync_core.cases.approvals import NEEDED, REFUSED
from sync_core.cases.corrections import CorrectionForm, form
from sync_core.cases.ownership import CAUSES
from sync_core.cases.rules import RULES, SILENT, Deed, Kind, Refusal, refusal
from sync_core.domains.conflicts import CAUSE as CONFLICT
from sync_core.errors import StoredEventUnreadable
from sync_core.estate.estate import Estate
from sync_core.findings import Difference
from sync_core.fold import fold
from sync_core.intake.contract_events import correctors, events_of
from sync_core.master.match import NEAR
from sync_core.reads.approvals import RefusedBefore, refusals
from sync_core.reads.conflicts import Conflict, conflicts
from sync_core.reads.exceptions import COLUMNS, ExceptionRow, exception_row
from sync_core.reads.master import Alikes, alikes, stated
from sync_core.reads.scope import CASES, OF_CONTRACT, Entities, bound
from sync_core.references.known_codes import known_codes

MOST_MOMENTS: Final = 1_000
CLOSED: Final = {
    "read_back": "the ERP was read back and found as agreed",
    "checked": "its check passes now",
    "decision": "by decision, not mended",
}  # by closed_how
_CLOSES: Final = frozenset({"resolved", "decided", "refused"})


@dataclass(frozen=True, slots=True)
class CaseMoment:
    """One thing that happened to it. `note`: a comment or a reason, plain text by whoever wrote it."""

    what: str
    function: str
    from_function: str | None
    assignee: str | None
    actor: str
    note: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class CaseAction:
    """What can be done with `row`, for whom; the command asks the same rule again."""

    deed: Deed
    row: ExceptionRow
    why: str = ""  # why nobody can, beyond what the rule knows
    except_for: tuple[str, ...] = ()  # people who may not, whatever their role

    @property
    def name(self) -> str:
        """Method of a command family: "cases.assign"."""
        return self.deed.value

    def refusal(self, actor: Actor) -> Refusal | None:
        """None: this actor can do it."""
        if refused := refusal(actor, self.deed, self.row):
            if refused.kind is not Kind.OUT_OF_REACH:
                return refused
            entity = self.row.legal_entity or "every legal entity"  # the exception is read, so there is one
            return Refusal(Kind.LACKING, f"{RULES[self.deed].permission} for {entity} is not yours")
        if self.why:
            return Refusal(Kind.STANDING, self.why)
        if actor.name in self.except_for:
            return Refusal(Kind.STANDING, "you corrected this contract yourself, so another approver must decide")
        return None

    def allowed(self, actor: Actor) -> bool:
        return self.refusal(actor) is None


@dataclass(frozen=True, slots=True)
class Followed:
    """The correction after which this exception was found: of another exception of the contract, of the same fields."""

    case_id: int
    cause: str
    actor: str
    reason: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class CaseDetail:
    """History oldest first. `form` None: the contract's events cannot be read. `open_for`: all open intervals."""

    row: ExceptionRow
    source: str
    history: tuple[CaseMoment, ...]
    form: CorrectionForm | None
    actions: tuple[CaseAction, ...]
    open_for: timedelta
    follows: Followed | None = None
    followed_by: int | None = None  # the exception that was found after this one was corrected
    refused: RefusedBefore | None = None  # of one that an approver refused
    conflicts: tuple[Conflict, ...] = ()  # of an ownership conflict: each field with both values
    alike: Alikes | None = None  # of a near-duplicate: the master records that the customer may be
    differences: tuple[Difference, ...] = ()  # of two sides that do not agree: what, and by how much
    currency: str | None = None  # the contract's; None: not known


_CASE = sa.text(f"""
    SELECT {COLUMNS}, c.source, k.detail, c.currency AS contract_currency FROM {CASES}
    WHERE k.case_id = :case AND {OF_CONTRACT}
""")
_HISTORY = sa.text("""
    SELECT what, function, from_function, assignee, actor, note, occurred_at FROM core.case_history
    WHERE case_id = :case ORDER BY recorded_at DESC, recorded_xid DESC LIMIT :most
""")


def case_detail(
    conn: sa.Connection, case_id: int, estate: Estate, *, now: datetime, reporting: str, entities: Entities
) -> CaseDetail | None:
    """None when there is no such exception within reach."""
    found = conn.execute(_CASE, {"case": case_id, **bound(entities)}).one_or_none()
    if found is None:
        return None
    row = exception_row(found, reporting=reporting)
    moments = conn.execute(_HISTORY, {"case": case_id, "most": MOST_MOMENTS}).all()
    history = tuple(CaseMoment(*moment) for moment in reversed(moments))
    made = _form(conn, found, estate)
    links = _links(conn, row)
    refused = refusals(conn, [row.contract_id] if row.cause == REFUSED else [])
    alike = _alike(conn, found, row, estate, now)
    return CaseDetail(
        row, found.source, history, made, _actions(conn, row, made, alike), open_for(row, history, now),
        follows=_follows(row, links), followed_by=_followed_by(row, links), differences=_differences(found.detail),
        conflicts=conflicts(conn, row.contract_id, estate) if row.cause == CONFLICT else (),
        alike=alike, currency=found.contract_currency,
        refused=refused.get(row.contract_id),
    )  # fmt: skip


def _alike(conn: sa.Connection, found: sa.Row[Any], row: ExceptionRow, estate: Estate, now: datetime) -> Alikes | None:
    if row.cause != NEAR:
        return None
    try:
        meant = stated(conn, found.source, found.external_id, estate, now)
    except StoredEventUnreadable:
        return None  # as the form has it
    return alikes(conn, row.case_id, found.source, meant) if meant else None


def _differences(detail: Mapping[str, Any]) -> tuple[Difference, ...]:
    listed = detail.get("differences", [])
    return tuple(
        Difference(one["kind"], one["what"], one["held"], one["wanted"], Decimal(one["amount"])) for one in listed
    )


def _form(conn: sa.Connection, found: sa.Row[Any], estate: Estate) -> CorrectionForm | None:
    try:
        events = events_of(conn, found.source, found.external_id)
    except StoredEventUnreadable:
        return None  # the page says so: nothing can be corrected on what cannot be read
    terms = fold(events, day_at=estate.day_at).terms if events else None
    known = known_codes(conn, terms, estate) if terms else {}
    return form(terms, found.cause, found.function, estate, known)


def open_for(row: ExceptionRow, history: Sequence[CaseMoment], now: datetime) -> timedelta:
    """The sum of its open intervals; what it was closed in between does not count."""
    total, since = timedelta(), None
    for moment in history:
        if moment.what in ("opened", "reopened"):
            since = since or moment.occurred_at
        elif moment.what in _CLOSES and since is not None:
            total, since = total + (moment.occurred_at - since), None
    # Without its beginning when it has no history, or one of more moments than are read.
    return total + (now - (since or row.opened_at) if row.state == "open" else timedelta())


def _actions(
    conn: sa.Connection, row: ExceptionRow, made: CorrectionForm | None, alike: Alikes | None
) -> tuple[CaseAction, ...]:
    correct = "" if made and made.correctable else made.where if made else "its events cannot be read"
    deeds = (Deed.ASSIGN, Deed.ACKNOWLEDGE, Deed.HAND_OVER, Deed.COMMENT, Deed.DECIDE)
    actions = [*(CaseAction(deed, row) for deed in deeds), CaseAction(Deed.CORRECT, row, correct)]
    deciding = {SILENT: Deed.ACCEPT, CONFLICT: Deed.RESOLVE, NEAR: Deed.IDENTIFY}
    if row.cause in deciding:
        actions.append(CaseAction(deciding[row.cause], row))
    if alike is not None and alike.decision is not None:
        actions.append(CaseAction(Deed.TAKE_BACK, row))
    if row.cause in (NEEDED, REFUSED):
        authors = correctors(conn, [row.contract_id]).get(row.contract_id, ())
        actions.append(CaseAction(Deed.APPROVE, row, except_for=authors))
    return tuple(actions)


# The corrections of the contract, and the exceptions that were open after each.
_LINKS = sa.text("""
    SELECT k.case_id, k.cause, h.actor, h.note, h.occurred_at, n.case_id AS later_id, n.cause AS later_cause
    FROM core.case AS k
    JOIN core.case_history AS h ON h.case_id = k.case_id AND h.what = 'corrected'
    JOIN core.case AS n ON n.contract_id = k.contract_id AND n.case_id <> k.case_id AND n.opened_at >= h.occurred_at
    WHERE k.contract_id = :contract AND :case IN (k.case_id, n.case_id)
    ORDER BY h.occurred_at DESC, n.case_id LIMIT 100
""")


def _links(conn: sa.Connection, row: ExceptionRow) -> Sequence[sa.Row[Any]]:
    """Latest correction first: those in which what was found later is mended by the same fields."""
    found = conn.execute(_LINKS, {"contract": row.contract_id, "case": row.case_id}).all()
    return [link for link in found if _fields(link.cause) & _fields(link.later_cause)]


def _fields(cause: str) -> frozenset[str]:
    return frozenset(CAUSES[cause].mended) if cause in CAUSES else frozenset()


def _follows(row: ExceptionRow, links: Sequence[sa.Row[Any]]) -> Followed | None:
    link = next((one for one in links if one.later_id == row.case_id), None)
    return Followed(link.case_id, link.cause, link.actor, link.note, link.occurred_at) if link else None


def _followed_by(row: ExceptionRow, links: Sequence[sa.Row[Any]]) -> int | None:
    return next((int(link.later_id) for link in links if link.case_id == row.case_id), None)
