"""Approvals: what waits for one, what an approver refused, and what is decided in the CLM; and who may decide on each.

All are open exceptions that policy made. A refused contract stays refused until its data changes: it waits for nobody.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

import sqlalchemy as sa

from sync_core.authority import Actor, Permission
from sync_core.cases.approvals import NEEDED, REFUSED
from sync_core.errors import ErrorClass
from sync_core.intake.contract_events import correctors
from sync_core.money import Money
from sync_core.reads.exceptions import COLUMNS, ExceptionFilter, ExceptionRow, exception_row, where
from sync_core.reads.paging import Listed, Listing, Order, Row, Where, Window
from sync_core.reads.scope import CASES, Entities


class ApprovalStatus(StrEnum):
    WAITING = "waiting"  # for an approver
    REFUSED = "refused"  # by an approver; one may approve it after all
    IN_CLM = "in_clm"  # the CLM did not approve the contract, or a clause of it


@dataclass(frozen=True, slots=True)
class RefusedBefore:
    """How an approver refused the contract."""

    by: str
    reason: str
    at: datetime


_POLICY: Final = ExceptionFilter(error_class=ErrorClass.POLICY_DENIED)
_IS: Final = {
    ApprovalStatus.WAITING: "k.cause = :needed",
    ApprovalStatus.REFUSED: "k.cause = :refused",
    ApprovalStatus.IN_CLM: "k.cause NOT IN (:needed, :refused)",
}
# The question that the refusal closed; it opens again when the contract's data asks anew.
_REFUSALS: Final = sa.text("""
    SELECT DISTINCT ON (contract_id) contract_id, decided_by, decided_reason, resolved_at FROM core.case
    WHERE contract_id = ANY(:contracts) AND cause = :needed AND state = 'decided' ORDER BY contract_id, case_id DESC
""")
_HANDED_OVER: Final = sa.text("""
    SELECT DISTINCT ON (case_id) case_id, occurred_at FROM core.case_history
    WHERE case_id = ANY(:cases) AND what = 'handed_over' ORDER BY case_id, recorded_at DESC, recorded_xid DESC
""")
_ORDER: Final = Order("k.opened_at", False, False, datetime, "k.case_id")


@dataclass(frozen=True, slots=True)
class ApprovalRow:
    """`decidable`: here, by an approver; else in the CLM. `authors` corrected the contract, so they may not approve."""

    case: ExceptionRow
    value: Money | None  # of the contract: what would be approved
    decidable: bool
    authors: tuple[str, ...]
    status: ApprovalStatus = ApprovalStatus.WAITING
    refused: RefusedBefore | None = None
    held_since: datetime | None = None  # by the function that has it; None: since it opened

    def may_decide(self, actor: Actor) -> bool:
        """The command asks again."""
        may = actor.may(Permission.APPROVALS_DECIDE, entity=self.case.legal_entity)
        return self.decidable and may and actor.name not in self.authors

    @property
    def who(self) -> str:
        """Who may decide, in words."""
        if not self.decidable:
            return "decided in the CLM"
        entity = self.case.legal_entity or "every legal entity"
        but = f", but not {' or '.join(self.authors)}, who corrected the contract" if self.authors else ""
        return f"an approver for {entity}{but}"


ApprovalPage = Listed[ApprovalRow]


def approvals(
    conn: sa.Connection, status: ApprovalStatus, window: Window, *, reporting: str, entities: Entities
) -> ApprovalPage:
    """Oldest first; those that were approved and wait for their next run are nobody's task any more. InvalidCursor."""
    narrowed = where(_POLICY, entities)
    values = {**narrowed.values, "needed": NEEDED, "refused": REFUSED}
    narrowed = Where((*narrowed.conditions, _IS[status], "k.decided_by IS NULL"), values)
    columns = f"{COLUMNS}, c.value, c.currency AS contract_currency"
    page = Listing(columns, CASES, narrowed, _ORDER, lambda row: _row(row, status, reporting)).page(conn, window)
    contracts = [row.case.contract_id for row in page.rows]
    authors = correctors(conn, contracts) if page.rows else {}
    refused = refusals(conn, contracts) if status is ApprovalStatus.REFUSED else {}
    since = _held_since(conn, page.rows)
    rows = (
        replace(
            row,
            held_since=since.get(row.case.case_id),
            authors=authors.get(contract_id, ()),
            refused=refused.get(contract_id),
        )
        for row, contract_id in zip(page.rows, contracts, strict=True)
    )
    return replace(page, rows=tuple(rows))


def _held_since(conn: sa.Connection, rows: Sequence[ApprovalRow]) -> dict[int, datetime]:
    """By exception, of those that were handed over since they opened."""
    found = conn.execute(_HANDED_OVER, {"cases": [row.case.case_id for row in rows]})
    handed = {row.case_id: row.occurred_at for row in found}
    opened = {row.case.case_id: row.case.opened_at for row in rows}
    return {case_id: at for case_id, at in handed.items() if at > opened[case_id]}


def refusals(conn: sa.Connection, contracts: Sequence[int]) -> dict[int, RefusedBefore]:
    """By contract, of those that an approver refused last."""
    found = conn.execute(_REFUSALS, {"contracts": list(contracts), "needed": NEEDED})
    return {row.contract_id: RefusedBefore(row.decided_by, row.decided_reason, row.resolved_at) for row in found}


def _row(row: Row, status: ApprovalStatus, reporting: str) -> ApprovalRow:
    value = Money(row.value, row.contract_currency) if row.contract_currency else None
    decidable = status is not ApprovalStatus.IN_CLM
    return ApprovalRow(exception_row(row, reporting=reporting), value, decidable, (), status)
