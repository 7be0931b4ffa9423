"""One exception with all that its page shows: history, comments, the form that mends it, and what can be done."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from sync_core.approvals import NEEDED, REFUSED
from sync_core.authority import Actor, Permission
from sync_core.contract_events import correctors, events_of
from sync_core.corrections import CorrectionForm, form
from sync_core.errors import StoredEventUnreadable
from sync_core.estate import Estate
from sync_core.fold import fold
from sync_core.reads.exceptions import COLUMNS, FROM, ExceptionRow, exception_row
from sync_core.reads.scope import OF_CONTRACT, Entities, bound

MOST_MOMENTS: Final = 1_000
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
    """What can be done, for whom: `why` says why not, when its state does not allow it to anybody."""

    name: str  # method of a command family: "cases.assign"
    permission: Permission
    entity: str
    function: str | None  # None: whoever's it is does not matter
    why: str = ""
    except_for: tuple[str, ...] = ()  # people who may not, whatever their role

    def allowed(self, actor: Actor) -> bool:
        """Whether a button for it makes sense for this actor; the command asks again."""
        may = actor.may(self.permission, entity=self.entity, function=self.function)
        return may and not self.why and actor.name not in self.except_for


@dataclass(frozen=True, slots=True)
class CaseDetail:
    """History oldest first. `form` None: the contract's events cannot be read. `open_for`: all open intervals."""

    row: ExceptionRow
    source: str
    history: tuple[CaseMoment, ...]
    form: CorrectionForm | None
    actions: tuple[CaseAction, ...]
    open_for: timedelta


_CASE = sa.text(f"SELECT {COLUMNS}, c.source FROM {FROM} WHERE k.case_id = :case AND {OF_CONTRACT}")
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
    return CaseDetail(row, found.source, history, made, _actions(conn, row, made), open_for(row, history, now))


def _form(conn: sa.Connection, found: sa.Row[Any], estate: Estate) -> CorrectionForm | None:
    try:
        events = events_of(conn, found.source, found.external_id)
    except StoredEventUnreadable:
        return None  # the page says so: nothing can be corrected on what cannot be read
    terms = fold(events).terms if events else None
    return form(terms, found.cause, found.function, estate)


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


def _actions(conn: sa.Connection, row: ExceptionRow, made: CorrectionForm | None) -> tuple[CaseAction, ...]:
    closed = "" if row.state == "open" else f"it is {row.state} already"
    seen = closed or (f"{row.acknowledged_by} did already" if row.acknowledged_by else "")
    asks = row.cause in (NEEDED, REFUSED)
    entity, function, write = row.legal_entity, row.function, Permission.EXCEPTIONS_WRITE
    correct = closed or ("" if made and made.correctable else made.where if made else "its events cannot be read")
    decide = closed or ("it asks for an approval: approve or refuse it" if asks else "")
    actions = [
        CaseAction("cases.assign", write, entity, None, closed),
        CaseAction("cases.acknowledge", write, entity, None, seen),
        CaseAction("cases.hand_over", write, entity, None, closed),
        CaseAction("cases.comment", write, entity, None),
        CaseAction("cases.decide", Permission.EXCEPTIONS_DECIDE, entity, function, decide),
        CaseAction("corrections.submit", Permission.CORRECTIONS_WRITE, entity, function, correct),
    ]
    if asks:
        given = closed or (f"{row.decided_by} approved it" if row.decided_by else "")
        authors = correctors(conn, [row.contract_id]).get(row.contract_id, ())
        actions.append(CaseAction("approvals.decide", Permission.APPROVALS_DECIDE, entity, None, given, authors))
    return tuple(actions)
