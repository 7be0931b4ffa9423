"""The items of one replay: a page of them, and one with its plan field by field."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from sync_core.money import Money
from sync_core.reads.paging import Listed, Listing, Order, Row, Values, Where
from sync_core.reads.scope import OF_CONTRACT, Entities, bound
from sync_core.replay import Effect, Eligibility, ItemState, PreviewState, Skip


@dataclass(frozen=True, slots=True)
class ItemFilter:
    """Empty fields do not filter."""

    states: tuple[ItemState, ...] = ()
    eligibility: Eligibility | None = None
    preview: PreviewState | None = None
    skip: Skip | None = None
    legal_entity: str = ""
    writes: bool | None = None  # True: those whose plan changes anything in the ERP


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

    @property
    def writes(self) -> int:
        return self.creates + self.updates + self.activates + self.closes


@dataclass(frozen=True, slots=True)
class ItemDetail:
    row: ItemRow
    effects: tuple[Effect, ...]  # in the order in which they are carried out


ItemPage = Listed[ItemRow]

COLUMNS: Final = """i.item_id, contract_id, i.position, c.external_id, c.title, c.customer_name, c.legal_entity, i.lane,
    i.eligibility, i.eligibility_why, i.preview, i.preview_why, i.previewed_at, i.creates, i.updates, i.activates,
    i.closes, i.no_ops, i.conflicts, i.findings, i.money, i.currency, i.money_reporting, i.bill_on, i.digest,
    i.confirmed, i.state, i.skip, i.words, i.dispatched_at, i.tries, i.run_id, i.finished_at"""
_FROM: Final = "core.replay_item AS i JOIN core.contract AS c USING (contract_id)"
_ORDER: Final = Order("i.position", descending=False, nullable=False, kind=Decimal, row_id="i.item_id")
_ONE = sa.text(f"""
    SELECT {COLUMNS}, i.plan FROM {_FROM}
    WHERE i.replay_id = :replay_id AND i.contract_id = :contract_id AND {OF_CONTRACT}
""")


def item_listing(replay_id: int, wanted: ItemFilter, *, reporting: str, entities: Entities) -> Listing[ItemRow]:
    """In the order of their dispatch; only contracts within reach."""
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
    where = Where(tuple(conditions), values)
    return Listing(COLUMNS, _FROM, where, _ORDER, lambda row: item_row(row, reporting=reporting))


def item_detail(
    conn: sa.Connection, replay_id: int, contract_id: int, *, reporting: str, entities: Entities
) -> ItemDetail | None:
    found = {"replay_id": replay_id, "contract_id": contract_id, **bound(entities)}
    row = conn.execute(_ONE, found).one_or_none()
    if row is None:
        return None
    return ItemDetail(item_row(row, reporting=reporting), tuple(Effect.parse(e) for e in row.plan or ()))


def item_row(row: Row, *, reporting: str) -> ItemRow:
    values = {name: getattr(row, name) for name in row._fields if name not in ("currency", "plan")}
    values |= {
        "eligibility": Eligibility(row.eligibility),
        "preview": PreviewState(row.preview),
        "findings": tuple(str(finding["message"]) for finding in row.findings),
        "money": Money(row.money, row.currency) if row.currency else None,
        "money_reporting": None if row.money_reporting is None else Money(row.money_reporting, reporting),
        "state": ItemState(row.state),
        "skip": Skip(row.skip) if row.skip else None,
    }
    return ItemRow(**values)
