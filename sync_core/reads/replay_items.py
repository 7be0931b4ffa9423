"""The items of one replay: a page of them, and one with its plan field by field."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from sync_core.money import Money
from sync_core.reads.paging import Cursor, Listed, Listing, Order, Row, Values, Where
from sync_core.reads.scope import OF_CONTRACT, Entities, bound
from sync_core.replay.replay import Effect, Eligibility, ItemState, PreviewState, Skip


@dataclass(frozen=True, slots=True)
class ItemFilter:
    """Empty fields do not filter."""

    states: tuple[ItemState, ...] = ()
    eligibility: Eligibility | None = None
    preview: PreviewState | None = None
    skip: Skip | None = None
    legal_entity: str = ""
    writes: bool | None = None  # True: those whose plan changes anything in the ERP
    stopped: bool | None = None  # True: those whose preview found what stops them


class ItemSort(StrEnum):
    DISPATCH = "dispatch"  # as they are carried out
    TROUBLE = "trouble"  # what failed, differs or could not be verified first, then what was skipped for a cause


@dataclass(frozen=True, slots=True)
class LastRefusal:
    """Why the contract's last run before this did not get it into its ERP: it may happen again."""

    words: str
    error_class: str | None
    at: datetime | None  # when the run that said so first ended; UTC


@dataclass(frozen=True, slots=True)
class ItemRow:
    """One contract of a replay. Times are UTC."""

    item_id: int
    contract_id: int
    position: int
    external_id: str
    title: str
    customer_name: str
    legal_entity: str
    lane: str
    eligibility: Eligibility
    eligibility_why: str
    preview: PreviewState
    preview_why: str
    previewed_at: datetime | None
    creates: int
    updates: int
    activates: int
    closes: int
    no_ops: int
    conflicts: int
    findings: tuple[str, ...]  # what stops it before any write, in words
    stopped: bool  # its preview found what stops it, and nothing else has kept it from being carried out
    refused: LastRefusal | None  # while it has not ended, and the preview does not say the same
    money: Money | None  # the contract's value; None: its currency is not known
    money_reporting: Money | None
    bill_on: date | None
    digest: str | None  # of what would be done: what is confirmed
    confirmed: bool
    state: ItemState
    skip: Skip | None
    words: str
    dispatched_at: datetime | None
    tries: int
    run_id: UUID | None  # its last run
    finished_at: datetime | None
    billed: Money | None = None  # of a move: invoiced in the ERP that it leaves, and stays there
    to_bill: Money | None = None  # and what is then to be billed in the other

    @property
    def writes(self) -> int:
        return self.creates + self.updates + self.activates + self.closes


@dataclass(frozen=True, slots=True)
class ItemDetail:
    row: ItemRow
    effects: tuple[Effect, ...]  # in the order in which they are carried out


ItemPage = Listed[ItemRow]

# Its preview found what stops it before any write, and nothing else has kept it from being carried out.
STOPPED: Final = "(i.preview = 'done' AND i.findings <> '[]' AND NOT i.confirmed AND i.skip IN ('', 'stopped'))"
COLUMNS: Final = f"""i.item_id, contract_id, i.position, c.external_id, c.title, c.customer_name, c.legal_entity,
    i.lane, i.eligibility, i.eligibility_why, i.preview, i.preview_why, i.previewed_at, i.creates, i.updates,
    i.activates, i.closes, i.no_ops, i.conflicts, i.findings, {STOPPED} AS stopped, i.money, i.currency,
    i.money_reporting, i.bill_on, i.digest,
    i.confirmed, i.state, i.skip, i.words, i.dispatched_at, i.tries, i.run_id, i.finished_at, i.billed, i.to_bill,
    u.urgency,
    CASE WHEN i.state = 'pending' THEN c.last_error END AS last_error, c.last_error_class,
    (SELECT r.finished_at FROM core.run AS r WHERE r.contract_id = c.contract_id ORDER BY r.started_at DESC LIMIT 1)
        AS last_run_at"""
# A replay has 50,000 items at most, so a million keeps the ranks apart, and a value of one sorting from the other's.
_APART: Final = 1_000_000
_FROM: Final = f"""core.replay_item AS i JOIN core.contract AS c USING (contract_id) CROSS JOIN LATERAL (
    SELECT i.position + {_APART} * CASE WHEN i.state IN ('failed', 'mismatch', 'unverifiable') THEN 1
        WHEN i.skip IN ('changed', 'stopped', 'not_previewed') THEN 2 WHEN i.state IN ('pending', 'cancelled') THEN 3
        WHEN i.state = 'verified' THEN 4 ELSE 5 END AS urgency) AS u"""
_ORDERS: Final = {
    ItemSort.DISPATCH: Order("i.position", descending=False, nullable=False, kind=Decimal, row_id="i.item_id"),
    ItemSort.TROUBLE: Order("u.urgency", descending=False, nullable=False, kind=Decimal, row_id="i.item_id"),
}
_OVER = sa.text("SELECT finished_at IS NOT NULL FROM core.replay WHERE replay_id = :replay_id")
_ONE = sa.text(f"""
    SELECT {COLUMNS}, i.plan FROM {_FROM}
    WHERE i.replay_id = :replay_id AND i.contract_id = :contract_id AND {OF_CONTRACT}
""")


def sort_of(conn: sa.Connection, replay_id: int, cursor: Cursor | None) -> ItemSort:
    """What is asked of a replay first: of one that is over, what went wrong. Further pages go on as the first began,
    though it may have ended in between.
    """
    if cursor is not None and cursor.value is not None:
        return ItemSort.TROUBLE if _number(cursor.value) >= _APART else ItemSort.DISPATCH
    return ItemSort.TROUBLE if conn.scalar(_OVER, {"replay_id": replay_id}) else ItemSort.DISPATCH


def _number(text: str) -> int:
    """0 for none: the listing refuses it."""
    return int(text) if text.isascii() and text.isdigit() else 0


def item_listing(
    replay_id: int, wanted: ItemFilter, sort: ItemSort, *, reporting: str, entities: Entities
) -> Listing[ItemRow]:
    """Only contracts within reach."""
    conditions = ["i.replay_id = :replay_id", OF_CONTRACT]
    values: Values = {"replay_id": replay_id, **bound(entities)}
    for name in ("eligibility", "preview", "skip"):
        if value := getattr(wanted, name):
            conditions.append(f"i.{name} = :{name}")
            values[name] = value.value
    if wanted.states:
        conditions.append("i.state = ANY(:states)")
        values["states"] = [state.value for state in wanted.states]
    if wanted.legal_entity:
        conditions.append("c.legal_entity = :legal_entity")
        values["legal_entity"] = wanted.legal_entity
    if wanted.writes is not None:
        conditions.append("(i.creates + i.updates + i.activates + i.closes > 0) = :writes")
        values["writes"] = wanted.writes
    if wanted.stopped is not None:
        conditions.append(f"{STOPPED} = :stopped")
        values["stopped"] = wanted.stopped
    where = Where(tuple(conditions), values)
    return Listing(COLUMNS, _FROM, where, _ORDERS[sort], lambda row: item_row(row, reporting=reporting))


def item_detail(
    conn: sa.Connection, replay_id: int, contract_id: int, *, reporting: str, entities: Entities
) -> ItemDetail | None:
    found = {"replay_id": replay_id, "contract_id": contract_id, **bound(entities)}
    row = conn.execute(_ONE, found).one_or_none()
    if row is None:
        return None
    return ItemDetail(item_row(row, reporting=reporting), tuple(Effect.parse(e) for e in row.plan or ()))


def item_row(row: Row, *, reporting: str) -> ItemRow:
    values = {name: getattr(row, name) for name in ItemRow.__slots__ if name in row._fields}
    findings = tuple(str(finding["message"]) for finding in row.findings)
    told = row.last_error is None or row.last_error in findings
    values |= {
        "eligibility": Eligibility(row.eligibility),
        "preview": PreviewState(row.preview),
        "findings": findings,
        "refused": None if told else LastRefusal(row.last_error, row.last_error_class, row.last_run_at),
        "money": Money(row.money, row.currency) if row.currency else None,
        "money_reporting": None if row.money_reporting is None else Money(row.money_reporting, reporting),
        "state": ItemState(row.state),
        "skip": Skip(row.skip) if row.skip else None,
        "billed": None if row.billed is None else Money(row.billed, row.currency),
        "to_bill": None if row.to_bill is None else Money(row.to_bill, row.currency),
    }
    return ItemRow(**values)
