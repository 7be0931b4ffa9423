"""What waits for an approval: open exceptions that policy made, and who may decide on each."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from sync_core.approvals import NEEDED, REFUSED
from sync_core.authority import Actor, Permission
from sync_core.contract_events import correctors
from sync_core.errors import ErrorClass
from sync_core.money import Money
from sync_core.reads.exceptions import COLUMNS, FROM, ExceptionFilter, ExceptionRow, exception_row, where
from sync_core.reads.paging import Listed, Listing, Order, Row, Where, Window
from sync_core.reads.scope import Entities

_POLICY: Final = ExceptionFilter(error_class=ErrorClass.POLICY_DENIED)
_ORDER: Final = Order("k.opened_at", False, False, datetime, "k.case_id")


@dataclass(frozen=True, slots=True)
class ApprovalRow:
    """`decidable`: here, by an approver; else in the CLM. `authors` corrected the contract, so they may not approve."""

    case: ExceptionRow
    value: Money | None  # of the contract: what would be approved
    decidable: bool
    authors: tuple[str, ...]

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


def approvals(conn: sa.Connection, window: Window, *, reporting: str, entities: Entities) -> ApprovalPage:
    """Oldest first; those that were approved and wait for their next run are nobody's task any more. InvalidCursor."""
    narrowed = where(_POLICY, entities)
    narrowed = Where((*narrowed.conditions, "k.decided_by IS NULL"), narrowed.values)
    columns = f"{COLUMNS}, c.value, c.currency AS contract_currency"
    page = Listing(columns, FROM, narrowed, _ORDER, lambda row: _row(row, reporting)).page(conn, window)
    authors = correctors(conn, [row.case.contract_id for row in page.rows]) if page.rows else {}
    return replace(page, rows=tuple(replace(row, authors=authors.get(row.case.contract_id, ())) for row in page.rows))


def _row(row: Row, reporting: str) -> ApprovalRow:
    value = Money(row.value, row.contract_currency) if row.contract_currency else None
    return ApprovalRow(exception_row(row, reporting=reporting), value, row.cause in (NEEDED, REFUSED), ())
