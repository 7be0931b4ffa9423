"""Legal holds, newest first: which contracts' records must be kept whatever retention says, and why."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sync_core.reads.paging import Listed, Listing, Order, Row, Where
from sync_core.reads.scope import OF_CONTRACT, Entities, bound


@dataclass(frozen=True, slots=True)
class HoldFilter:
    """`contract_id` None: of all contracts."""

    contract_id: int | None = None
    released: bool = False  # those that are over, too


@dataclass(frozen=True, slots=True)
class HoldRow:
    """One hold on one contract; in force while `released_at` is None."""

    hold_id: int
    contract_id: int
    external_id: str
    title: str
    legal_entity: str
    reason: str
    placed_by: str
    placed_at: datetime
    released_by: str | None
    released_at: datetime | None


HoldPage = Listed[HoldRow]

_FROM: Final = "core.legal_hold AS h JOIN core.contract AS c ON c.contract_id = h.contract_id"
_COLUMNS: Final = """h.hold_id, h.contract_id, c.external_id, c.title, c.legal_entity, h.reason, h.placed_by,
    h.placed_at, h.released_by, h.released_at"""
_ORDER: Final = Order("h.placed_at", descending=True, nullable=False, kind=datetime, row_id="h.hold_id")


def hold_listing(wanted: HoldFilter, *, entities: Entities) -> Listing[HoldRow]:
    """The holds that meet the filter within reach, to be read page by page."""
    conditions, values = [OF_CONTRACT], dict[str, object](bound(entities))
    if not wanted.released:
        conditions.append("h.released_at IS NULL")
    if wanted.contract_id is not None:
        conditions.append("h.contract_id = :contract_id")
        values["contract_id"] = wanted.contract_id
    return Listing(_COLUMNS, _FROM, Where(tuple(conditions), values), _ORDER, _row)


def _row(row: Row) -> HoldRow:
    return HoldRow(
        hold_id=row.hold_id,
        contract_id=row.contract_id,
        external_id=row.external_id,
        title=row.title,
        legal_entity=row.legal_entity,
        reason=row.reason,
        placed_by=row.placed_by,
        placed_at=row.placed_at,
        released_by=row.released_by,
        released_at=row.released_at,
    )
